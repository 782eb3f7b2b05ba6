use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::{data, spawn};
use super::{ask, ask_under, question};
use crate::support::On;
use crate::support::app::GUEST;
use crate::support::upstream::{Step, answer, chunk, done, event, finish, head, role, text, usage};

#[rstest]
#[actix_web::test]
async fn an_answer_has_the_protocols_shape(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let more = json!({ "system": "Be kind.", "stop_sequences": ["x"], "temperature": 0.5, "metadata": { "user_id": "u" } });
    let answer = ask(&app, &token, more).await;
    answer
        .assert_status(200)
        .assert_header("x-tokens-charged", "100")
        .assert_header("x-tokens-remaining", "3900");
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    let wanted = json!({
        "id": format!("msg_{}", answer.header("x-chat-id").unwrap()), "type": "message", "role": "assistant",
        "model": "m", "content": [{ "type": "text", "text": "Hello dear world" }],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3 },
    });
    assert_eq!(answer.json(), wanted);
    let messages = json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "hi" }]);
    let asked = json!({ "model": "m", "messages": messages, "stop": ["x"], "temperature": 0.5, "user": "u",
        "max_tokens": 50, "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(upstream.requests()[0].body, asked);
    let chat = app.get("/chats/", &token).await.json()["chats"][0].clone();
    assert_eq!((&chat["message"], &chat["response"]), (&json!("hi"), &json!("Hello dear world")));
    assert_eq!(app.text("SELECT endpoint AS value FROM chats").as_deref(), Some("messages"));
}

#[actix_web::test]
async fn the_key_of_a_client_may_be_in_either_header() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let request = || app.request("POST", "/v1/messages").header("anthropic-version", "2023-06-01");
    let with_key = request().header("x-api-key", &token).json(&question(json!({}))).send().await;
    with_key.assert_status(200);
    let request = || app.request("POST", "/v1/messages?beta=true");
    let beta = request().bearer(&token).header("anthropic-beta", "claude-code-20250219");
    beta.json(&question(json!({}))).send().await.assert_status(200);
    let neither = request().bearer(GUEST).json(&question(json!({}))).send().await;
    assert_eq!(neither.assert_status(401).json()["error"]["type"], "authentication_error");
}

#[rstest]
#[actix_web::test]
async fn thoughts_and_calls_are_blocks_and_are_replayed_under_the_key(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let call = |delta| chunk(json!({ "tool_calls": [delta] }), None);
    upstream.next([
        head(),
        role(),
        chunk(json!({ "reasoning_content": "hm" }), None),
        text("I will."),
        call(json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":" } })),
        call(json!({ "index": 0, "function": { "arguments": "1}" } })),
        call(json!({ "index": 1, "id": "c2", "type": "function", "function": { "name": "g", "arguments": "" } })),
        finish("tool_calls"),
        event(&json!({ "choices": [], "usage": { "prompt_tokens": 20, "completion_tokens": 5,
            "prompt_tokens_details": { "cached_tokens": 16 },
            "completion_tokens_details": { "reasoning_tokens": 2 } } }).to_string()),
        done(),
        Step::End,
    ]);
    let tools = json!([{ "name": "f", "input_schema": { "type": "object" } }]);
    let content = json!([
        { "type": "thinking", "thinking": "hm", "signature": "" },
        { "type": "text", "text": "I will." },
        { "type": "tool_use", "id": "c1", "name": "f", "input": { "a": 1 } },
        { "type": "tool_use", "id": "c2", "name": "g", "input": {} },
    ]);
    let usage = json!({ "input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 16,
        "output_tokens": 5, "output_tokens_details": { "thinking_tokens": 2 } });
    for replayed in [None, Some("true")] {
        let wanted = json!({ "tools": tools, "thinking": { "type": "adaptive" } });
        let answer = ask_under(&app, &token, "one", wanted).await;
        assert_eq!(answer.assert_status(200).header("idempotency-replayed"), replayed);
        let body = answer.json();
        assert_eq!((&body["content"], &body["stop_reason"]), (&content, &json!("tool_use")));
        assert_eq!(body["usage"], usage);
    }
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
}

#[actix_web::test]
async fn an_answer_that_reached_its_limit_says_so() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next([head(), role(), text("Hel"), finish("length"), usage(9, 1), done(), Step::End]);
    assert_eq!(ask(&app, &token, json!({})).await.assert_status(200).json()["stop_reason"], "max_tokens");
    upstream.next([
        head(),
        role(),
        chunk(json!({ "refusal": "No." }), None),
        finish("stop"),
        done(),
        Step::End,
    ]);
    let refused = ask(&app, &token, json!({})).await.assert_status(200).json();
    assert_eq!(refused["content"], json!([{ "type": "text", "text": "No." }]));
    assert_eq!(refused["stop_reason"], "refusal");
}

/// Returns an answer whose last event has these fields beside its finish reason.
fn ended_by(more: Value) -> [Step; 6] {
    let mut choice = json!({ "index": 0, "delta": {}, "finish_reason": "stop" });
    choice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let last = event(&json!({ "choices": [choice] }).to_string());
    [head(), role(), text("Hel"), last, done(), Step::End]
}

#[rstest]
#[actix_web::test]
async fn a_stop_sequence_is_named_if_the_upstream_reports_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let met = |stop: &str| json!(["stop_sequence", stop]);
    let turn = || json!(["end_turn", null]);
    for (number, (more, wanted)) in [
        (json!({ "stop_reason": "</a>" }), met("</a>")),
        (json!({ "stop_reason": null, "matched_stop": "b" }), met("b")),
        // The number of a token, a sequence of the upstream's own, and one that is too long.
        (json!({ "stop_reason": 128_008 }), turn()),
        (json!({ "matched_stop": "<|im_end|>" }), turn()),
        (json!({ "stop_reason": "x".repeat(2000) }), turn()),
        (json!({ "stop_reason": { "a": [1] } }), turn()),
        (json!({ "stop_reason": "</a>", "finish_reason": "length" }), json!(["max_tokens", null])),
    ]
    .into_iter()
    .enumerate()
    {
        upstream.next(ended_by(more.clone()));
        let stops = json!({ "stop_sequences": ["</a>", "b"] });
        let key = number.to_string();
        for replayed in [None, Some("true")] {
            let answer = ask_under(&app, &token, &key, stops.clone()).await;
            assert_eq!(answer.assert_status(200).header("idempotency-replayed"), replayed);
            let body = answer.json();
            assert_eq!(json!([body["stop_reason"], body["stop_sequence"]]), wanted, "{more}");
        }
        let streamed = json!({ "stop_sequences": ["</a>", "b"], "stream": true });
        let replay = ask_under(&app, &token, &key, streamed).await;
        let events = data(&replay);
        let delta = &events[events.len() - 2]["delta"];
        assert_eq!(json!([delta["stop_reason"], delta["stop_sequence"]]), wanted, "{more}");
    }
    assert_eq!(upstream.requests().len(), 7);
}

#[actix_web::test]
async fn a_price_by_usage_is_for_the_tokens_of_the_answer_with_those_of_the_cache() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    app.sql("UPDATE models SET base_price = 5, prompt_price = 1000, completion_price = 3000");
    let counted = json!({ "choices": [], "usage": { "prompt_tokens": 20, "completion_tokens": 5,
        "prompt_tokens_details": { "cached_tokens": 16 } } });
    upstream.next([
        head(),
        role(),
        text("Hi"),
        finish("stop"),
        event(&counted.to_string()),
        done(),
        Step::End,
    ]);
    let answer = ask(&app, &token, json!({})).await;
    let usage = &answer.assert_status(200).json()["usage"];
    let of = |name: &str| usage[name].as_i64().unwrap();
    let cost = 5 + of("input_tokens") + of("cache_read_input_tokens") + 3 * of("output_tokens");
    answer.assert_header("x-tokens-charged", &cost.to_string());
    assert_eq!((cost, app.balance(&token).await), (40, 3960));
}

#[actix_web::test]
async fn the_dummy_answers_messages_too() {
    let Some(app) = crate::support::app::TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let answer = ask(&app, &token, json!({ "model": "claude-9" })).await.assert_status(200).json();
    assert_eq!(answer["content"], json!([{ "type": "text", "text": "Response to hi" }]));
    assert_eq!(answer["model"], "dummy");
}
