//! `POST /chat/` with a streamed answer.

use rstest::rstest;
use serde_json::{Value, json};

use super::upstream::{data, events, spawn};
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::{answer, status};

async fn stream(app: &TestApp, token: &str, body: Value) -> Answer {
    app.request("POST", "/chat/").bearer(token).header("Accept", "text/event-stream").json(&body).send().await
}

fn names(answer: &Answer) -> Vec<String> {
    events(answer).into_iter().map(|(name, _)| name).collect()
}

#[rstest]
#[actix_web::test]
async fn an_answer_comes_in_deltas_and_ends_with_its_cost(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let answer = stream(&app, &token, json!({ "message": "hi" })).await;
    answer
        .assert_status(200)
        .assert_header("x-tokens-charged", "100")
        .assert_header("x-tokens-remaining", "3900");
    assert_eq!(names(&answer), ["delta", "delta", "delta", "done"]);
    let data = data(&answer);
    let text: String = data.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(text, "Hello dear world");
    let chat_id: i64 = answer.header("x-chat-id").unwrap().parse().unwrap();
    let done = json!({ "chat_id": chat_id, "message": "hi", "response": "Hello dear world", "charged": 100,
                       "remaining": 3900 });
    assert_eq!(data.last(), Some(&done));
    let chat = app.get(&format!("/chats/{chat_id}/"), &token).await.json();
    assert_eq!((&chat["state"], &chat["response"]), (&json!("complete"), &json!("Hello dear world")));
    assert_eq!(chat["usage"], json!({ "prompt_tokens": 9, "completion_tokens": 3, "estimated": false }));
}

#[actix_web::test]
async fn the_body_and_the_header_both_ask_for_a_stream_and_the_body_decides() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let by_body = app.post("/chat/", &token, json!({ "message": "hi", "stream": true })).await;
    assert_eq!(names(&by_body), ["delta", "done"]);
    let plain = stream(&app, &token, json!({ "message": "hi", "stream": false })).await;
    plain.assert(201, r#"{"message":"hi","response":"Hello"}"#);
    let wrong = app.post("/chat/", &token, json!({ "message": "hi", "stream": "yes" })).await;
    wrong.assert_error(400, "Invalid stream");
}

#[actix_web::test]
async fn a_refused_stream_gets_its_status_in_the_contracts_order() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &["--opening-tokens", "50"]).await else { return };
    stream(&app, "", json!({ "message": "" })).await.assert_error(401, "Unauthorized");
    stream(&app, &token, json!({ "message": "" })).await.assert_error(400, "Invalid message");
    stream(&app, &token, json!({ "message": "hi" })).await.assert_error(400, "Insufficient tokens");
    assert_eq!(app.count("chats"), 0);
}

#[actix_web::test]
async fn a_failure_before_the_answer_begins_gets_its_status() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(status(500, &[], "secret of the upstream"));
    let answer = stream(&app, &token, json!({ "message": "hi" })).await;
    answer.assert_error(502, "The message could not be answered");
    assert_eq!(app.balance(&token).await, 4000);
}

#[rstest]
#[actix_web::test]
async fn the_dummy_streams_too(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let answer = stream(&app, &token, json!({ "message": "hi" })).await;
    assert_eq!(names(&answer), ["delta", "done"]);
    assert_eq!(data(&answer)[1]["response"], "Response to hi");
    assert_eq!(app.balance(&token).await, 3900);
}

#[rstest]
#[actix_web::test]
async fn a_retry_gets_the_stored_answer_streamed_or_whole(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(true, false)] first_streamed: bool,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let ask = async |streamed: bool| {
        let body = json!({ "message": "hi", "stream": streamed });
        let request = app.request("POST", "/chat/").bearer(&token).header("Idempotency-Key", "one");
        let answer = request.json(&body).send().await;
        let text = if streamed {
            data(&answer).last().unwrap()["response"].clone()
        } else {
            answer.json()["response"].clone()
        };
        assert_eq!(text, "Hello dear world");
        answer
    };
    let first = ask(first_streamed).await;
    for streamed in [true, false] {
        let again = ask(streamed).await;
        again.assert_header("idempotency-replayed", "true");
        assert_eq!(again.header("x-chat-id"), first.header("x-chat-id"));
    }
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
}
