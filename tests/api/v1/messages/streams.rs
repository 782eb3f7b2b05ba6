use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::{data, events, spawn};
use super::{ask, ask_under};
use crate::support::On;
use crate::support::app::Answer;
use crate::support::upstream::{Step, answer, chunk, done, finish, head, role, text, usage};

fn all(answer: &Answer, field: &str) -> String {
    data(answer).iter().filter_map(|event| event["delta"][field].as_str()).collect()
}

#[rstest]
#[actix_web::test]
async fn a_stream_has_the_protocols_shape(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let answer = ask(&app, &token, json!({ "stream": true })).await;
    answer.assert_status(200).assert_header("x-accel-buffering", "no");
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    let names: Vec<_> = events(&answer).into_iter().map(|(name, _)| name).collect();
    let all_data = data(&answer);
    let types: Vec<_> = all_data.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(names, types);
    let wanted = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types, wanted);
    let mut start = all_data[0]["message"].clone();
    // The model has counted nothing yet: the prompt's tokens are estimated.
    assert!((1..=20).contains(&start["usage"]["input_tokens"].take().as_i64().unwrap()));
    let wanted = json!({
        "id": format!("msg_{}", answer.header("x-chat-id").unwrap()), "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": null, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0 },
    });
    assert_eq!(start, wanted);
    assert_eq!(
        all_data[2],
        json!({ "type": "content_block_start", "index": 0,
        "content_block": { "type": "text", "text": "" } })
    );
    assert_eq!(all(&answer, "text"), "Hello dear world");
    let end = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
        "usage": { "input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3 } });
    assert_eq!(all_data[7], end);
}

#[actix_web::test]
async fn a_broken_stream_ends_with_an_error_and_does_not_look_complete() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next([head(), role(), text("Hello "), text("dear "), Step::Reset]);
    let answer = ask(&app, &token, json!({ "stream": true })).await;
    assert_eq!(all(&answer, "text"), "Hello dear ");
    let (name, last) = events(&answer).pop().unwrap();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((name.as_str(), &last["type"]), ("error", &json!("error")));
    assert_eq!(
        (&last["error"]["type"], &last["error"]["code"]),
        (&json!("api_error"), &json!("responder_failed"))
    );
    assert_eq!(last["request_id"].as_str(), answer.header("request-id"));
    assert!(!answer.text().contains("message_stop") && !answer.text().contains("message_delta"));
    assert_eq!(app.balance(&token).await, 4000);
}

#[rstest]
#[actix_web::test]
async fn a_retry_gets_the_same_answer_streamed_or_whole(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let call = |delta| chunk(json!({ "tool_calls": [delta] }), None);
    upstream.next([
        head(),
        role(),
        chunk(json!({ "reasoning": "hm" }), None),
        text("I "),
        text("will."),
        call(json!({ "index": 0, "id": "c1", "function": { "name": "f", "arguments": "{\"a\":" } })),
        call(json!({ "index": 0, "function": { "arguments": "1}" } })),
        finish("tool_calls"),
        usage(20, 5),
        done(),
        Step::End,
    ]);
    let thinking = json!({ "type": "enabled", "budget_tokens": 1024 });
    let streamed = json!({ "stream": true, "thinking": thinking });
    let streamed = async || ask_under(&app, &token, "one", streamed.clone()).await;
    let first = streamed().await;
    let again = streamed().await;
    again.assert_header("idempotency-replayed", "true");
    assert_eq!(again.text(), first.text(), "a replay is the same byte for byte");
    for (field, wanted) in [("thinking", "hm"), ("text", "I will."), ("partial_json", "{\"a\":1}")] {
        assert_eq!(all(&again, field), wanted);
    }
    let whole = ask_under(&app, &token, "one", json!({ "thinking": thinking })).await.json();
    assert_eq!(
        whole["content"][2],
        json!({ "type": "tool_use", "id": "c1", "name": "f", "input": { "a": 1 } })
    );
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
}
