use serde_json::json;

use super::super::super::upstream::spawn;
use super::respond;
use crate::support::On;

#[actix_web::test]
async fn what_is_not_offered_is_refused_by_name() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let item = |item| json!({ "input": [item] });
    let part = |part| json!({ "input": [{ "role": "user", "content": [part] }] });
    for (more, param, named) in [
        (json!({ "background": true }), "background", "background"),
        (json!({ "conversation": "conv_1" }), "conversation", "previous_response_id"),
        (json!({ "prompt": { "id": "p" } }), "prompt", "prompt"),
        (json!({ "service_tier": "priority" }), "service_tier", "auto"),
        (json!({ "truncation": "sometimes" }), "truncation", "auto"),
        (json!({ "include": ["everything"] }), "include", "everything"),
        (json!({ "metadata": { "a": 1 } }), "metadata", "metadata"),
        (json!({ "text": { "format": { "type": "grammar" } } }), "text.format", "json_schema"),
        (
            json!({ "tool_choice": { "type": "web_search" }, "tools": [{ "type": "web_search" }] }),
            "tool_choice",
            "web_search",
        ),
        (json!({ "tool_choice": "required", "tools": [{ "type": "mcp" }] }), "tool_choice", "no tool"),
        (json!({ "tool_choice": { "type": "function", "name": "f" } }), "tool_choice", "\"f\""),
        (json!({ "tools": [{ "type": "function" }] }), "tools", "name"),
        (json!({ "context_management": [{ "type": "compaction" }] }), "context_management", "truncation"),
        (json!({ "reasoning": { "max_tokens": 5 } }), "reasoning", "reasoning.max_tokens"),
        (json!({ "reasoning": { "mode": "pro" } }), "reasoning", "reasoning.mode"),
        (json!({ "reasoning": { "summary": "long" } }), "reasoning.summary", "concise"),
        (json!({ "text": { "stop": "x" } }), "text", "text.stop"),
        (json!({ "input": [] }), "input", "items"),
        (json!({ "input": null }), "input", "items"),
        (item(json!({ "type": "local_shell_call" })), "input", "local_shell_call"),
        (
            item(json!({ "type": "compaction", "encrypted_content": "x" })),
            "input",
            "items that it stands for",
        ),
        (item(json!({ "type": "computer_call", "call_id": "c" })), "input", "input_image"),
        (item(json!({ "type": "dream" })), "input", "leave them out"),
        (item(json!({ "type": "function_call_output", "output": "1" })), "input", "call_id"),
        (part(json!({ "type": "input_image", "file_id": "f" })), "input", "file_id"),
        (part(json!({ "type": "input_file", "file_url": "https://a.example" })), "input", "file_url"),
        (part(json!({ "type": "input_video" })), "input", "input_video"),
        (json!({ "previous_response_id": "chatcmpl-1" }), "previous_response_id", "resp_17"),
        (json!({ "max_output_tokens": "many" }), "max_output_tokens", "number"),
        (json!({ "store": "yes" }), "store", "true or false"),
    ] {
        let answered = respond(&app, &token, more.clone()).await;
        let error = answered.assert_status(400).json()["error"].clone();
        assert_eq!((&error["param"], &error["code"]), (&json!(param), &json!("invalid_field")), "{more}");
        assert!(error["message"].as_str().unwrap().contains(named), "{more}: {error}");
    }
    assert_eq!((upstream.requests().len(), app.count("chats")), (0, 0), "nothing was sent or charged");
}

#[actix_web::test]
async fn fields_without_effect_are_accepted() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let more = json!({ "background": false, "conversation": null, "max_tool_calls": 3, "stream_options": { "include_obfuscation": false },
        "reasoning": { "generate_summary": "auto", "context": "auto", "mode": "standard" }, "context_management": [],
        "tools": [{ "type": "web_search" }], "tool_choice": "auto",
        "include": ["code_interpreter_call.outputs"], "unknown": 1, "temperature": null });
    respond(&app, &token, more).await.assert_status(200);
}
