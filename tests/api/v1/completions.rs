use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::spawn;
use super::{complete, question};
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::{Step, answer, chunk, done, finish, head, role, status, usage};

#[rstest]
#[actix_web::test]
async fn an_answer_has_the_protocols_shape(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let answer = complete(&app, &token, json!({})).await;
    answer
        .assert_status(200)
        .assert_header("x-tokens-charged", "100")
        .assert_header("x-tokens-remaining", "3900");
    let mut body = answer.json();
    let id: i64 = answer.header("x-chat-id").unwrap().parse().unwrap();
    assert!(body["created"].take().as_i64().unwrap() > 1_700_000_000);
    let wanted = json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": null, "model": "m",
        "choices": [{ "index": 0, "finish_reason": "stop", "logprobs": null,
                      "message": { "role": "assistant", "content": "Hello dear world" } }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 },
    });
    assert_eq!(body, wanted);
}

#[actix_web::test]
async fn supported_fields_are_passed_on_and_max_tokens_is_limited() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--upstream-max-output", "50"]).await else {
        return;
    };
    let messages = json!([
        { "role": "system", "content": "Be kind." },
        { "role": "user", "content": [{ "type": "text", "text": "hi" }] },
        { "role": "assistant", "content": "Hello" },
        { "role": "user", "content": "Go on" },
    ]);
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
    let more = json!({ "messages": messages, "temperature": 0.5, "stop": ["x"], "tools": tools, "max_tokens": 7,
                       "n_predict": -1, "user": "bob", "stream_options": null });
    complete(&app, &token, more).await.assert_status(200);
    complete(&app, &token, json!({ "max_completion_tokens": 1000, "max_tokens": 3 }))
        .await
        .assert_status(200);
    complete(&app, &token, json!({})).await.assert_status(200);
    let asked: Vec<_> = upstream.requests().into_iter().map(|request| request.body).collect();
    let wanted = json!({ "model": "m", "messages": messages, "temperature": 0.5, "stop": ["x"], "tools": tools,
                         "max_tokens": 7, "user": "bob", "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(asked[0], wanted);
    assert_eq!((&asked[1]["max_tokens"], &asked[2]["max_tokens"]), (&json!(50), &json!(50)));
    let chats = app.get("/chats/", &token).await.json();
    assert_eq!(chats["chats"][2]["message"], "Go on");
}

#[actix_web::test]
async fn a_client_without_a_limit_gets_the_default_and_any_other_at_most_the_bound() {
    let flags = ["--upstream-default-output", "60", "--upstream-max-output", "200"];
    let Some((app, upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    let limit = async |more: Value| {
        complete(&app, &token, more).await.assert_status(200);
        upstream.requests().last().unwrap().body["max_tokens"].clone()
    };
    assert_eq!(limit(json!({})).await, json!(60));
    assert_eq!(limit(json!({ "max_tokens": 100 })).await, json!(100));
    assert_eq!(limit(json!({ "max_tokens": 1000 })).await, json!(200));
    // A model's own limits come first.
    app.sql("UPDATE models SET default_output = 300, max_output = 400 WHERE name = 'm'");
    assert_eq!(limit(json!({})).await, json!(300));
    assert_eq!(limit(json!({ "max_tokens": 1000 })).await, json!(400));
    assert_eq!(limit(json!({ "model": "vendor/other" })).await, json!(60));
    app.sql("UPDATE models SET max_output = 50 WHERE name = 'm'");
    assert_eq!(limit(json!({})).await, json!(50));
    app.post("/chat/", &token, json!({ "message": "hi" })).await.assert_status(201);
    assert_eq!(upstream.requests().last().unwrap().body["max_tokens"], json!(50));
}

#[actix_web::test]
async fn the_system_prompt_of_the_settings_is_not_added_to_completions() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--upstream-system-prompt", "Be kind."]).await
    else {
        return;
    };
    complete(&app, &token, json!({})).await.assert_status(200);
    assert_eq!(upstream.requests()[0].body["messages"], json!([{ "role": "user", "content": "hi" }]));
}

#[rstest]
#[actix_web::test]
async fn tool_calls_are_merged_and_replayed_under_the_key(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let call = |delta| chunk(json!({ "tool_calls": [delta] }), None);
    upstream.next([
        head(),
        role(),
        call(json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "" } })),
        call(json!({ "index": 0, "function": { "arguments": "{\"a\":" } })),
        call(json!({ "index": 0, "function": { "arguments": "1}" } })),
        finish("tool_calls"),
        usage(20, 5),
        done(),
        Step::End,
    ]);
    let wanted = json!({ "role": "assistant", "content": null, "tool_calls": [
        { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } }] });
    for replayed in [None, Some("true")] {
        let request =
            app.request("POST", "/v1/chat/completions").bearer(&token).header("Idempotency-Key", "one");
        let answer = request.json(&question(json!({}))).send().await;
        assert_eq!(answer.header("idempotency-replayed"), replayed);
        let body = answer.json();
        assert_eq!(body["choices"][0]["message"], wanted);
        assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(body["usage"]["total_tokens"], 25);
    }
    assert_eq!(app.balance(&token).await, 3900);
}

#[actix_web::test]
async fn the_dummy_speaks_the_protocol_too() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let answer = complete(&app, &token, json!({ "model": "dummy" })).await;
    let body = answer.assert_status(200).json();
    assert_eq!(body["choices"][0]["message"]["content"], "Response to hi");
    assert_eq!(body["model"], "dummy");
    assert!(body["usage"]["total_tokens"].as_i64().unwrap() > 0);
    assert_eq!(app.get("/v1/models", &token).await.json()["data"][0]["id"], "dummy");
}

#[rstest]
#[actix_web::test]
async fn offered_models_are_listed_and_found(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, _upstream, token)) = spawn(on, &[]).await else { return };
    let model = |name: &str| json!({ "id": name, "object": "model", "created": 0, "owned_by": "tollgate" });
    let list = app.get("/v1/models", &token).await;
    assert_eq!(list.json(), json!({ "object": "list", "data": [model("m"), model("vendor/other")] }));
    for path in ["/v1/models/m", "/v1/models/m/", "/v1/models/vendor/other", "/v1/models/vendor%2Fother"] {
        let name = if path.contains("vendor") { "vendor/other" } else { "m" };
        assert_eq!(app.get(path, &token).await.assert_status(200).json(), model(name), "{path}");
    }
    app.sql("UPDATE models SET is_withdrawn = TRUE WHERE name = 'm'");
    assert_eq!(app.get("/v1/models", &token).await.json()["data"], json!([model("vendor/other")]));
    let withdrawn = complete(&app, &token, json!({})).await;
    assert_eq!(withdrawn.assert_status(404).json()["error"]["code"], "model_not_found");
    let other = complete(&app, &token, json!({ "model": "vendor/other" })).await;
    other.assert_status(200);
}

#[actix_web::test]
async fn a_body_has_at_most_8_mib() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let of_bytes = |bytes: usize| {
        let rest = question(json!({ "messages": [{ "role": "user", "content": "" }] })).to_string().len();
        question(json!({ "messages": [{ "role": "user", "content": "x".repeat(bytes - rest) }] }))
    };
    let most = 8 * 1024 * 1024;
    let path = "/v1/chat/completions";
    app.post(path, &token, of_bytes(most)).await.assert_status(200);
    let larger = app.post(path, &token, of_bytes(most + 1)).await;
    assert_eq!(larger.assert_status(413).json()["error"]["code"], "body_too_large");
    let kept = app.get("/chats/", &token).await.json();
    assert_eq!(kept["chats"][0]["message"].as_str().unwrap().len(), 32_000);
}

/// Asks with an image, and with a tool.
async fn ask_with_extras(app: &TestApp, token: &str, model: &str) -> [Answer; 2] {
    let image = json!([{ "type": "image_url", "image_url": { "url": "https://a.example/b.png" } }]);
    let messages = json!([{ "role": "user", "content": image }]);
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
    [
        complete(app, token, json!({ "model": model, "messages": messages })).await,
        complete(app, token, json!({ "model": model, "tools": tools })).await,
    ]
}

#[rstest]
#[actix_web::test]
async fn what_a_model_does_not_accept_is_rejected_with_the_models_that_do(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    for answer in ask_with_extras(&app, &token, "m").await {
        answer.assert_status(200);
    }
    app.sql("UPDATE models SET accepts_images = FALSE, accepts_tools = FALSE WHERE name = 'm'");
    app.sql("UPDATE models SET accepts_images = TRUE WHERE name = 'vendor/other'");
    let [image, tool] = ask_with_extras(&app, &token, "m").await;
    let error = image.assert_status(400).json()["error"].clone();
    assert_eq!(error["param"], "messages");
    let text = "messages: the model `m` accepts no images: leave them out, or ask `vendor/other`.";
    assert_eq!(error["message"], text);
    let error = tool.assert_status(400).json()["error"].clone();
    assert_eq!(error["message"], "tools: the model `m` accepts no tools: leave them out.");
    assert_eq!((upstream.requests().len(), app.count("chats")), (2, 2), "nothing was sent or charged");
    complete(&app, &token, json!({})).await.assert_status(200);
    ask_with_extras(&app, &token, "vendor/other").await[0].assert_status(200);
}

#[actix_web::test]
async fn what_the_upstream_reports_counts_where_nothing_is_set() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let list = json!({ "data": [{ "id": "m", "context_length": 2048, "max_completion_tokens": 500,
                                  "capabilities": { "vision": false, "function_calling": false } }] });
    let reply = |code, body: &str| status(code, &[("content-type", "application/json")], body);
    upstream.models(reply(200, &list.to_string()));
    app.services.toll.learn_models().await;
    for answer in ask_with_extras(&app, &token, "m").await {
        answer.assert_status(400);
    }
    complete(&app, &token, json!({})).await.assert_status(200);
    assert_eq!(upstream.requests()[0].body["max_tokens"], json!(500));
    // A list that cannot be read changes nothing.
    for (code, body) in [(500, ""), (200, "<html>"), (200, &"x".repeat((1 << 20) + 1))] {
        upstream.models(reply(code, body));
        app.services.toll.learn_models().await;
        ask_with_extras(&app, &token, "m").await[0].assert_status(400);
    }
    // What an administrator says comes first.
    app.sql(
        "UPDATE models SET accepts_images = TRUE, accepts_tools = TRUE, max_output = 600 WHERE name = 'm'",
    );
    for answer in ask_with_extras(&app, &token, "m").await {
        answer.assert_status(200);
    }
    assert_eq!(upstream.requests()[1].body["max_tokens"], json!(600));
}
