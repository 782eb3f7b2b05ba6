//! `POST /v1/completions`: texts that the model continues.

use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::{data, events, spawn};
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::{Step, answer, chunk, continued, done, finish, head, status, usage};

async fn continue_text(app: &TestApp, token: &str, more: Value) -> Answer {
    let mut body = json!({ "model": "m", "prompt": "Once upon" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.post("/v1/completions", token, body).await
}

/// Returns a script that continues a prompt with these words.
fn continuing(words: &str) -> Vec<Step> {
    let mut script = vec![head()];
    script.extend(words.split_inclusive(' ').map(|word| continued(0, word, None)));
    script.extend([continued(0, "", Some("stop")), usage(2, 3), done(), Step::End]);
    script
}

#[rstest]
#[actix_web::test]
async fn an_answer_has_the_protocols_shape(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(continuing("a time ago"));
    let answer = continue_text(&app, &token, json!({})).await;
    answer.assert_status(200).assert_header("x-tokens-charged", "100");
    let mut body = answer.json();
    let id: i64 = answer.header("x-chat-id").unwrap().parse().unwrap();
    assert!(body["created"].take().as_i64().unwrap() > 1_700_000_000);
    let wanted = json!({
        "id": format!("cmpl-{id}"), "object": "text_completion", "created": null, "model": "m",
        "choices": [{ "text": "a time ago", "index": 0, "logprobs": null, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5 },
    });
    assert_eq!(body, wanted);
    assert_eq!(upstream.request(0).await.path, "/v1/completions");
    // The model's own default limits it, and not the 16 tokens of OpenAI.
    assert_eq!(upstream.request(0).await.body["max_tokens"], 4096);
    let chat = app.get(&format!("/chats/{id}/"), &token).await.json();
    assert_eq!((&chat["message"], &chat["response"]), (&json!("Once upon"), &json!("a time ago")));
    assert_eq!(app.text("SELECT endpoint AS value FROM chats").as_deref(), Some("completions"));
}

#[rstest]
#[actix_web::test]
async fn a_stream_has_a_chunk_for_each_part(#[values(true, false)] include_usage: bool) {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(continuing("a time"));
    let more = json!({ "stream": true, "stream_options": { "include_usage": include_usage } });
    let answer = continue_text(&app, &token, more).await;
    assert_eq!(events(&answer).last().unwrap().1, "[DONE]");
    let mut chunks = data(&answer);
    let last = include_usage.then(|| chunks.pop().unwrap());
    let of_chunk = |chunk: &Value| {
        assert_eq!((&chunk["object"], &chunk["model"]), (&json!("text_completion"), &json!("m")));
        assert_eq!(chunk.get("usage"), include_usage.then_some(&Value::Null));
        let choice = &chunk["choices"][0];
        (choice["text"].as_str().unwrap().to_owned(), choice["finish_reason"].clone())
    };
    let parts: Vec<_> = chunks.iter().map(of_chunk).collect();
    let expected = [("a ", Value::Null), ("time", Value::Null), ("", json!("stop"))];
    assert_eq!(parts, expected.map(|(text, reason)| (text.to_owned(), reason)));
    if let Some(last) = last {
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(5)));
    }
}

#[rstest]
#[actix_web::test]
async fn a_stream_that_breaks_ends_with_an_error_and_is_refunded(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next([head(), continued(0, "a", None), Step::Close]);
    let answer = continue_text(&app, &token, json!({ "stream": true })).await;
    let chunks = data(&answer);
    assert_eq!(chunks[0]["choices"][0]["text"], "a");
    assert_eq!(chunks.last().unwrap()["error"]["code"], "responder_failed");
    assert!(!answer.text().contains("[DONE]"));
    assert_eq!(app.balance(&token).await, 4000);
}

/// Here the prompt is asked as a conversation, whose thoughts have no field in a completion.
#[rstest]
#[actix_web::test]
async fn a_completion_whose_model_only_thought_fails_and_is_refunded(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let thought = chunk(json!({ "reasoning": "hm" }), None);
    for stream in [false, true] {
        if !stream {
            upstream.next(status(405, &[], "Method Not Allowed"));
        }
        upstream.next([head(), thought.clone(), finish("stop"), usage(3, 2), done(), Step::End]);
        let answer = continue_text(&app, &token, json!({ "stream": stream })).await;
        // The head of a stream is sent when the model begins to think.
        let failed = if stream { data(&answer).remove(0) } else { answer.assert_status(502).json() };
        assert_eq!(failed["error"]["code"], "responder_failed");
        assert_eq!(app.balance(&token).await, 4000);
    }
}

#[actix_web::test]
async fn each_choice_of_each_prompt_costs_a_message() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let choices = (0..4).map(|index| continued(index, &format!("text {index}"), Some("length")));
    upstream.next([head()].into_iter().chain(choices).chain([usage(4, 8), done(), Step::End]));
    let more = json!({ "prompt": ["a", "b"], "n": 2 });
    let answer = continue_text(&app, &token, more).await;
    answer.assert_status(200).assert_header("x-tokens-charged", "400");
    let texts: Vec<_> =
        answer.json()["choices"].as_array().unwrap().iter().map(|choice| choice["text"].clone()).collect();
    assert_eq!(texts, ["text 0", "text 1", "text 2", "text 3"]);
    assert_eq!(upstream.request(0).await.body["n"], 2);
}

#[rstest]
#[actix_web::test]
async fn by_usage_a_completion_costs_what_it_used(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &["--upstream-max-output", "100"]).await else { return };
    app.sql("UPDATE models SET base_price = 5, prompt_price = 1000, completion_price = 2000");
    upstream.next(continuing("a time"));
    continue_text(&app, &token, json!({ "prompt": vec![7; 50] })).await.assert_status(200);
    assert_eq!(app.balance(&token).await, 4000 - (5 + 2 + 2 * 3));
    // A token each, and what surrounds them.
    let held = app.number("SELECT charge AS value FROM chats");
    assert_eq!(held, 5 + (50 + 8 + 64) + 2 * 100);
}

#[rstest]
#[actix_web::test]
async fn an_upstream_without_completions_is_asked_for_a_conversation(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.when("prompt", status(404, &[], ""));
    upstream.otherwise(answer("a time ago", 2, 3));
    for _ in 0..2 {
        let answer = continue_text(&app, &token, json!({})).await;
        assert_eq!(answer.assert_status(200).json()["choices"][0]["text"], "a time ago");
    }
    let asked: Vec<_> = upstream.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/v1/completions", "/v1/chat/completions", "/v1/chat/completions"]);
    for (more, field) in [
        (json!({ "suffix": "The end." }), "suffix"),
        (json!({ "prompt": ["a", "b"] }), "prompt"),
        (json!({ "prompt": [1, 2] }), "prompt"),
    ] {
        let error = continue_text(&app, &token, more).await.assert_status(400).json()["error"].clone();
        assert_eq!((&error["param"], &error["code"]), (&json!(field), &json!("invalid_field")));
        assert!(error["message"].as_str().unwrap().contains("takes only conversations"), "{error}");
    }
    assert_eq!(app.balance(&token).await, 3800, "what was rejected is refunded");
    let reason = app.text("SELECT failure AS value FROM chats ORDER BY id DESC LIMIT 1");
    assert_eq!(reason.as_deref(), Some("endpoint_missing"));
}

#[actix_web::test]
async fn what_is_not_offered_is_named_with_a_reason() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    for (more, field, reason) in [
        (json!({ "echo": true }), "echo", "without the prompt"),
        (json!({ "best_of": 3, "n": 2 }), "best_of", "would be charged, too"),
        (json!({ "prompt": vec!["a"; 9], "n": 2 }), "prompt", "16 in all"),
        (json!({ "prompt": { "text": "a" } }), "prompt", "give a text"),
    ] {
        let error = continue_text(&app, &token, more).await.assert_status(400).json()["error"].clone();
        assert_eq!((&error["param"], &error["type"]), (&json!(field), &json!("invalid_request_error")));
        assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
    }
    assert_eq!((upstream.requests().len(), app.balance(&token).await), (0, 4000));
}

#[rstest]
#[actix_web::test]
async fn a_retry_under_the_same_key_gets_the_same_answer(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(true, false)] streamed: bool,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(continuing("a time ago"));
    let ask = async |prompt: &str| {
        let request = app.request("POST", "/v1/completions").bearer(&token).header("Idempotency-Key", "k");
        request.json(&json!({ "model": "m", "prompt": prompt, "stream": streamed })).send().await
    };
    let first = ask("Once").await;
    let again = ask("Once").await;
    again.assert_status(200).assert_header("idempotency-replayed", "true");
    assert_eq!(again.text(), first.text());
    assert_eq!(ask("Twice").await.json()["error"]["code"], "idempotency_key_reused");
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
}

#[actix_web::test]
async fn the_dummy_answers_each_prompt() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let ask = async |prompt: Value| {
        let body = json!({ "model": "dummy", "prompt": prompt });
        let answer = app.post("/v1/completions", &token, body).await.assert_status(200).json();
        answer["choices"].as_array().unwrap().iter().map(|choice| choice["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ask(json!("Once")).await, ["Response to Once"]);
    assert_eq!(ask(json!(["a", "b"])).await, ["Response to a", "Response to b"]);
    assert_eq!(ask(json!([1, 2])).await, ["Response to 2 tokens"]);
}
