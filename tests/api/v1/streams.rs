use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::{data, events, spawn};
use super::{complete, question};
use crate::support::On;
use crate::support::app::Answer;
use crate::support::upstream::{Step, answer, head, role, text};

fn contents(answer: &Answer) -> String {
    let chunks = data(answer);
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[rstest]
#[actix_web::test]
async fn a_stream_has_the_protocols_shape(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(true, false)] include_usage: bool,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let options = json!({ "include_usage": include_usage });
    let answer = complete(&app, &token, json!({ "stream": true, "stream_options": options })).await;
    answer.assert_status(200).assert_header("x-accel-buffering", "no");
    assert_eq!(events(&answer).last().unwrap().1, "[DONE]");
    assert_eq!(contents(&answer), "Hello dear world");
    let chunks = data(&answer);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let reasons: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["stop"]);
    for chunk in &chunks {
        assert_eq!((&chunk["object"], &chunk["model"]), (&json!("chat.completion.chunk"), &json!("m")));
        assert_eq!(chunk["id"], format!("chatcmpl-{}", answer.header("x-chat-id").unwrap()));
        assert_eq!(
            chunk.get("usage").is_some(),
            include_usage,
            "always requested, but sent on only if wanted"
        );
    }
    let last = chunks.last().unwrap();
    if include_usage {
        let usage = json!({ "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 });
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &usage));
    }
    assert_eq!(upstream.requests()[0].body["stream_options"], json!({ "include_usage": true }));
}

#[actix_web::test]
async fn a_broken_stream_ends_with_an_error_and_does_not_look_complete() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next([head(), role(), text("Hello "), text("dear "), Step::Reset]);
    let answer = complete(&app, &token, json!({ "stream": true })).await;
    assert_eq!(contents(&answer), "Hello dear ");
    let last: Value = serde_json::from_str(&events(&answer).last().unwrap().1).unwrap();
    assert_eq!(last["error"]["code"], "responder_failed");
    assert!(!answer.text().contains("[DONE]"));
    assert_eq!(app.balance(&token).await, 4000);
}

#[rstest]
#[actix_web::test]
async fn a_retry_gets_the_same_answer_streamed_or_whole(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let ask = async |streamed: bool| {
        let request =
            app.request("POST", "/v1/chat/completions").bearer(&token).header("Idempotency-Key", "one");
        let more = json!({ "stream": streamed, "stream_options": { "include_usage": true } });
        request.json(&question(more)).send().await
    };
    let first = ask(true).await;
    let again = ask(true).await;
    again.assert_header("idempotency-replayed", "true");
    assert_eq!((contents(&again), data(&again).last()), (contents(&first), data(&first).last()));
    let whole = ask(false).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello dear world");
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
}
