use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::{data, spawn};
use super::{keyed, respond};
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::upstream::{Step, answer, chunk, done, finish, head, role, text, usage};

#[rstest]
#[actix_web::test]
async fn a_response_has_the_protocols_shape(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let more = json!({ "instructions": "Be kind.", "metadata": { "a": "b" }, "temperature": 0.5,
                       "max_output_tokens": 50, "reasoning": { "effort": "low" } });
    let answered = respond(&app, &token, more).await;
    answered.assert_status(200).assert_header("x-tokens-charged", "100");
    let mut body = answered.json();
    let id = answered.header("x-chat-id").unwrap().to_owned();
    let created_at = body["created_at"].take().as_i64().unwrap();
    assert!(created_at > 1_700_000_000 && body["completed_at"].take().as_i64().unwrap() >= created_at);
    let content =
        json!([{ "type": "output_text", "text": "Hello dear world", "annotations": [], "logprobs": [] }]);
    let wanted = json!({
        "id": format!("resp_{id}"), "object": "response", "created_at": null, "completed_at": null,
        "status": "completed", "error": null, "incomplete_details": null, "model": "m",
        "output": [{ "id": format!("msg_{id}_0"), "type": "message", "status": "completed", "role": "assistant",
                     "content": content }],
        "usage": { "input_tokens": 9, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
                   "output_tokens": 3, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 12 },
        "previous_response_id": null, "instructions": "Be kind.", "truncation": "disabled", "top_logprobs": 0,
        "tools": [], "tool_choice": "auto", "parallel_tool_calls": true, "max_tool_calls": null,
        "text": { "format": { "type": "text" } }, "reasoning": { "effort": "low", "summary": null },
        "metadata": { "a": "b" }, "temperature": 0.5, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0,
        "max_output_tokens": 50, "store": true, "background": false, "service_tier": "default", "user": null,
        "safety_identifier": null, "prompt_cache_key": null, "prompt_cache_retention": null,
    });
    assert_eq!(body, wanted);
    let asked = upstream.requests()[0].body.clone();
    let messages = json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "hi" }]);
    let wanted = json!({ "temperature": 0.5, "reasoning_effort": "low", "max_tokens": 50, "model": "m",
        "messages": messages, "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(asked, wanted);
    let chats = app.get("/chats/", &token).await.json();
    assert_eq!(chats["chats"][0]["message"], "hi");
}

/// Returns what the upstream gets for an input.
async fn messages(
    app: &TestApp,
    token: &str,
    upstream: &crate::support::upstream::ScriptedUpstream,
    input: Value,
) -> Value {
    respond(app, token, json!({ "input": input, "store": false })).await.assert_status(200);
    upstream.requests().last().unwrap().body["messages"].clone()
}

#[actix_web::test]
async fn items_become_messages() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let own = json!([{ "type": "reasoning.encrypted", "data": "secret" }]).to_string();
    let input = json!([
        { "role": "developer", "content": [{ "type": "input_text", "text": "Be kind." }] },
        { "type": "message", "role": "user", "content": [
            { "type": "input_text", "text": "look" },
            { "type": "input_image", "image_url": "https://a.example/b.png", "detail": "low" },
            { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ==" } ] },
        { "type": "reasoning", "id": "rs_1_0", "summary": [], "encrypted_content": own },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABo" },
        { "type": "message", "role": "assistant", "id": "msg_1_1", "status": "completed",
          "content": [{ "type": "output_text", "text": "Let me see.", "annotations": [] }] },
        { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}" },
        { "type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x" },
        { "type": "function_call_output", "call_id": "c1", "output": "one" },
        { "type": "custom_tool_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "two" }] },
        { "type": "reasoning", "summary": [], "content": [{ "type": "reasoning_text", "text": "hm" }] },
        { "type": "message", "role": "user", "content": "and?" },
    ]);
    let wanted = json!([
        { "role": "system", "content": "Be kind." },
        { "role": "user", "content": [
            { "type": "text", "text": "look" },
            { "type": "image_url", "image_url": { "url": "https://a.example/b.png", "detail": "low" } },
            { "type": "file", "file": { "file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf" } } ] },
        { "role": "assistant", "content": "Let me see.",
          "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } },
            { "id": "c2", "type": "function", "function": { "name": "g", "arguments": "{\"input\":\"x\"}" } } ],
          "reasoning_details": [{ "type": "reasoning.encrypted", "data": "secret" }] },
        { "role": "tool", "content": "one", "tool_call_id": "c1" },
        { "role": "tool", "content": "two", "tool_call_id": "c2" },
        { "role": "user", "content": "and?" },
    ]);
    assert_eq!(messages(&app, &token, &upstream, input).await, wanted);
}

/// A conversation that began at OpenAI goes on here.
#[actix_web::test]
async fn items_of_tools_that_are_not_offered_become_calls_or_nothing() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let input = json!([
        { "type": "message", "role": "user", "content": "go" },
        { "type": "web_search_call", "id": "ws_1", "status": "completed", "action": { "type": "search", "query": "a" } },
        { "type": "mcp_list_tools", "id": "mcpl_1", "server_label": "docs", "tools": [] },
        { "type": "tool_search_call", "id": "ts_1", "call_id": null, "arguments": {} },
        { "type": "message", "role": "assistant", "content": "I will." },
        { "type": "local_shell_call", "id": "lsh_1", "call_id": "c1", "status": "completed",
          "action": { "type": "exec", "command": ["ls"], "env": {} } },
        { "type": "local_shell_call_output", "id": "c1", "output": "a.txt" },
        { "type": "apply_patch_call", "call_id": "c2", "status": "completed",
          "operation": { "type": "delete_file", "path": "a.txt" } },
        { "type": "apply_patch_call_output", "call_id": "c2", "status": "failed", "output": "no such file" },
    ]);
    let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let shell = call("c1", "local_shell", "{\"type\":\"exec\",\"command\":[\"ls\"],\"env\":{}}");
    let patch = call("c2", "apply_patch", "{\"type\":\"delete_file\",\"path\":\"a.txt\"}");
    let wanted = json!([
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": "I will.", "tool_calls": [shell] },
        { "role": "tool", "content": "a.txt", "tool_call_id": "c1" },
        { "role": "assistant", "content": null, "tool_calls": [patch] },
        { "role": "tool", "content": "failed\nno such file", "tool_call_id": "c2" },
    ]);
    assert_eq!(messages(&app, &token, &upstream, input).await, wanted);
}

#[actix_web::test]
async fn tools_and_formats_are_translated() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let schema = json!({ "type": "object", "properties": {} });
    let more = json!({
        "tools": [
            { "type": "function", "name": "f", "description": "d", "parameters": schema, "strict": true },
            { "type": "custom", "name": "g", "format": { "type": "grammar", "syntax": "lark", "definition": "s" } },
            { "type": "web_search" },
        ],
        "tool_choice": { "type": "function", "name": "f" },
        "parallel_tool_calls": false,
        "text": { "format": { "type": "json_schema", "name": "s", "schema": schema, "strict": true }, "verbosity": "low" },
        "include": ["message.output_text.logprobs", "web_search_call.action.sources"],
        "top_logprobs": 2, "user": "bob", "prompt_cache_key": "k", "client_metadata": { "x": "y" },
    });
    let body = respond(&app, &token, more).await.assert_status(200).json();
    let asked = upstream.requests()[0].body.clone();
    let input = json!({ "type": "object", "additionalProperties": false, "required": ["input"],
        "properties": { "input": { "type": "string", "description": "The whole input of the tool, as plain text." } } });
    let grammar = "The \"input\" must follow this grammar (lark):\ns";
    let wanted = json!([
        { "type": "function", "function": { "name": "f", "description": "d", "parameters": schema, "strict": true } },
        { "type": "function", "function": { "name": "g", "parameters": input, "description": grammar } },
    ]);
    assert_eq!(asked["tools"], wanted);
    assert_eq!(asked["tool_choice"], json!({ "type": "function", "function": { "name": "f" } }));
    assert_eq!((&asked["parallel_tool_calls"], &asked["verbosity"]), (&json!(false), &json!("low")));
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": schema, "strict": true } });
    assert_eq!(asked["response_format"], format);
    assert_eq!((&asked["logprobs"], &asked["top_logprobs"]), (&json!(true), &json!(2)));
    assert_eq!((&asked["user"], &asked["prompt_cache_key"]), (&json!("bob"), &json!("k")));
    assert!(asked.get("client_metadata").is_none() && asked.get("metadata").is_none());
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert!(body["tollgate"]["notes"][0].as_str().unwrap().contains("\"web_search\""));
}

/// Codex's `apply_patch` is such a tool.
#[rstest]
#[actix_web::test]
async fn a_custom_tool_is_a_function_to_the_upstream_and_custom_to_the_client(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let called = || {
        let part = |name: &str, arguments: &str| {
            let function = json!({ "name": name, "arguments": arguments });
            // Only the first part names the call.
            let id = Some("c1").filter(|_| !name.is_empty());
            let call = json!({ "index": 0, "id": id, "type": "function", "function": function });
            chunk(json!({ "tool_calls": [call] }), None)
        };
        let parts = [
            part("apply_patch", "{\"inp"),
            part("", "ut\":\"*** Begin\\"),
            part("", "n+\\u00e9"),
            part("", "\"}"),
        ];
        let mut script = vec![head(), role()];
        script.extend(parts);
        script.extend([finish("tool_calls"), usage(20, 5), done(), Step::End]);
        script
    };
    let tool = json!({ "type": "custom", "name": "apply_patch", "description": "Edits files." });
    let more = json!({ "tools": [tool], "tool_choice": { "type": "custom", "name": "apply_patch" } });
    upstream.next(called());
    let first = keyed(&app, &token, "one", more.clone()).await;
    let body = first.assert_status(200).json();
    let id = first.header("x-chat-id").unwrap();
    let item = json!({ "id": format!("ctc_{id}_0"), "type": "custom_tool_call", "status": "completed",
        "call_id": "c1", "name": "apply_patch", "input": "*** Begin\n+é" });
    assert_eq!((&body["output"], &body["tools"]), (&json!([item]), &json!([tool])));
    let asked = upstream.requests()[0].body.clone();
    assert_eq!(asked["tools"][0]["function"]["name"], "apply_patch");
    assert_eq!(asked["tool_choice"], json!({ "type": "function", "function": { "name": "apply_patch" } }));
    assert_eq!(app.get(&format!("/v1/responses/resp_{id}"), &token).await.json(), body);
    let mut streamed = more.clone();
    streamed["stream"] = true.into();
    upstream.next(called());
    for (key, replayed) in [("two", None), ("two", Some("true")), ("one", Some("true"))] {
        let answered = keyed(&app, &token, key, streamed.clone()).await;
        assert_eq!(answered.assert_status(200).header("idempotency-replayed"), replayed);
        let id = answered.header("x-chat-id").unwrap();
        let events = data(&answered);
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
        let deltas = of("response.custom_tool_call_input.delta");
        let input: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
        assert_eq!(input, "*** Begin\n+é");
        assert_eq!(deltas.len(), if key == "one" { 1 } else { 2 }, "the input arrives in parts");
        assert_eq!(of("response.custom_tool_call_input.done")[0]["input"], input.as_str());
        let mut item = item.clone();
        item["id"] = format!("ctc_{id}_0").into();
        assert_eq!(of("response.output_item.done")[0]["item"], item);
        assert_eq!(of("response.completed")[0]["response"]["output"][0], item);
        assert!(of("response.function_call_arguments.delta").is_empty());
    }
    // The client sends the call back, refers to it, or continues the response.
    let output = json!({ "type": "custom_tool_call_output", "call_id": "c1", "output": "done" });
    let reference = json!({ "type": "item_reference", "id": item["id"] });
    for more in [
        json!({ "input": [{ "role": "user", "content": "hi" }, item, output] }),
        json!({ "input": [{ "role": "user", "content": "hi" }, reference, output] }),
        json!({ "input": [output], "previous_response_id": body["id"] }),
    ] {
        respond(&app, &token, more.clone()).await.assert_status(200);
        let messages = upstream.requests().last().unwrap().body["messages"].clone();
        let call = &messages[1]["tool_calls"][0];
        assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("apply_patch")));
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({ "input": "*** Begin\n+é" }), "{more}");
        assert_eq!(messages[2], json!({ "role": "tool", "content": "done", "tool_call_id": "c1" }));
    }
    let twice = json!({ "tools": [tool, { "type": "function", "name": "apply_patch" }] });
    let error = respond(&app, &token, twice).await.assert_status(400).json();
    assert_eq!(error["error"]["param"], "tools");
}

#[actix_web::test]
async fn only_allowed_tools_reach_the_model() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let tool = |name: &str| json!({ "type": "function", "name": name });
    let allowed = json!({ "type": "allowed_tools", "mode": "required", "tools": [tool("g")] });
    let more = json!({ "tools": [tool("f"), tool("g")], "tool_choice": allowed });
    let body = respond(&app, &token, more).await.assert_status(200).json();
    let asked = upstream.requests()[0].body.clone();
    assert_eq!(asked["tools"], json!([{ "type": "function", "function": { "name": "g" } }]));
    assert_eq!(asked["tool_choice"], "required");
    assert_eq!((body["tools"].as_array().unwrap().len(), &body["tool_choice"]), (2, &allowed));
}

/// An answer with thoughts, a text and two calls.
fn rich() -> Vec<Step> {
    let call = |delta| chunk(json!({ "tool_calls": [delta] }), None);
    vec![
        head(),
        role(),
        chunk(
            json!({ "reasoning": "hm ", "reasoning_details": [{ "type": "reasoning.encrypted", "data": "s", "index": 0 }] }),
            None,
        ),
        chunk(json!({ "reasoning": "hm" }), None),
        text("Let me see."),
        call(
            json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } }),
        ),
        call(json!({ "index": 1, "id": "c2", "type": "custom", "custom": { "name": "g", "input": "x" } })),
        finish("tool_calls"),
        usage(20, 5),
        done(),
        Step::End,
    ]
}

#[rstest]
#[actix_web::test]
async fn thoughts_texts_and_calls_are_items_and_replayed_under_the_key(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(rich());
    let more =
        json!({ "include": ["reasoning.encrypted_content"], "tools": [{ "type": "function", "name": "f" }] });
    let first = keyed(&app, &token, "one", more.clone()).await;
    let body = first.assert_status(200).json();
    let id = first.header("x-chat-id").unwrap();
    let text = json!([{ "type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": [] }]);
    let secret = json!([{ "type": "reasoning.encrypted", "data": "s", "index": 0 }]).to_string();
    let wanted = json!([
        { "id": format!("rs_{id}_0"), "type": "reasoning", "status": "completed", "summary": [],
          "content": [{ "type": "reasoning_text", "text": "hm hm" }] },
        { "id": format!("msg_{id}_1"), "type": "message", "status": "completed", "role": "assistant", "content": text },
        { "id": format!("fc_{id}_2"), "type": "function_call", "status": "completed", "call_id": "c1", "name": "f", "arguments": "{}" },
        { "id": format!("ctc_{id}_3"), "type": "custom_tool_call", "status": "completed", "call_id": "c2", "name": "g", "input": "x" },
        { "id": format!("rs_{id}_4"), "type": "reasoning", "status": "completed", "summary": [], "content": [], "encrypted_content": secret },
    ]);
    assert_eq!(body["output"], wanted);
    let again = keyed(&app, &token, "one", more).await;
    again.assert_header("idempotency-replayed", "true");
    assert_eq!(again.text(), first.text());
    assert_eq!(app.balance(&token).await, 3900);
    let other = keyed(&app, &token, "one", json!({ "metadata": { "a": "b" } })).await;
    assert_eq!(other.assert_status(422).json()["error"]["code"], "idempotency_key_reused");
}

#[actix_web::test]
async fn what_the_model_did_not_finish_is_incomplete() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    for (reason, detail) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        upstream.next([head(), role(), text("Hello"), finish(reason), usage(3, 1), done(), Step::End]);
        let body = respond(&app, &token, json!({})).await.assert_status(200).json();
        assert_eq!(
            (&body["status"], &body["incomplete_details"]["reason"]),
            (&json!("incomplete"), &json!(detail))
        );
        assert_eq!(body["completed_at"], Value::Null);
        assert_eq!(body["output"][0]["status"], "incomplete");
    }
    let refusal = chunk(json!({ "refusal": "I cannot." }), None);
    upstream.next([head(), role(), refusal, finish("stop"), usage(3, 1), done(), Step::End]);
    let body = respond(&app, &token, json!({})).await.assert_status(200).json();
    assert_eq!(body["output"][0]["content"], json!([{ "type": "refusal", "refusal": "I cannot." }]));
}

#[actix_web::test]
async fn the_tools_of_a_namespace_are_called_by_their_joined_names() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let tools = json!([{ "type": "namespace", "name": "mcp__docs__", "description": "d", "tools": [
        { "type": "function", "name": "search", "description": "s", "strict": false, "parameters": {} }] }]);
    let call = json!({ "index": 0, "id": "c1", "type": "function",
        "function": { "name": "mcp__docs__search", "arguments": "{}" } });
    let called = || {
        let call = chunk(json!({ "tool_calls": [call] }), None);
        [head(), role(), call, finish("tool_calls"), usage(20, 5), done(), Step::End]
    };
    upstream.next(called());
    let body = respond(&app, &token, json!({ "tools": tools })).await.assert_status(200).json();
    assert_eq!(body["tools"], tools);
    let item = body["output"][0].clone();
    assert_eq!((&item["name"], &item["namespace"]), (&json!("search"), &json!("mcp__docs__")));
    let asked = upstream.requests()[0].body["tools"][0]["function"]["name"].clone();
    assert_eq!(asked, "mcp__docs__search");
    let path = format!("/v1/responses/{}", body["id"].as_str().unwrap());
    assert_eq!(app.get(&path, &token).await.json(), body);
    upstream.next(called());
    let streamed = respond(&app, &token, json!({ "tools": tools, "stream": true })).await;
    let streamed = streamed.text();
    assert!(streamed.contains(r#""namespace":"mcp__docs__""#) && !streamed.contains("mcp__docs__search"));
    // The client sends the call back, or refers to it.
    let output = json!({ "type": "function_call_output", "call_id": "c1", "output": "1" });
    for call in [item.clone(), json!({ "type": "item_reference", "id": item["id"] })] {
        let input = json!([{ "role": "user", "content": "hi" }, call, output]);
        respond(&app, &token, json!({ "tools": tools, "input": input })).await.assert_status(200);
        let messages = upstream.requests().last().unwrap().body["messages"].clone();
        assert_eq!(messages[1]["tool_calls"][0]["function"]["name"], "mcp__docs__search", "{messages}");
    }
}
