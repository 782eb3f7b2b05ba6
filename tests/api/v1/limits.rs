use rstest::rstest;
use serde_json::json;

use super::super::upstream::spawn;
use super::complete;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::upstream::{Signal, Step, answer, done, finish, head, text};

#[rstest]
#[actix_web::test]
async fn the_limit_of_messages_per_minute_covers_all_paths(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--throttle", "on", "--requests-per-minute", "3"];
    let Some((app, _upstream, token)) = spawn(on, &flags).await else { return };
    for remaining in ["2", "1"] {
        let answer = complete(&app, &token, json!({})).await;
        answer.assert_status(200).assert_header("x-ratelimit-limit-requests", "3");
        answer.assert_header("x-ratelimit-remaining-requests", remaining);
    }
    app.chat(&token, "hi").await.assert_status(201);
    let refused = complete(&app, &token, json!({})).await;
    assert_eq!(refused.assert_status(429).json()["error"]["code"], "rate_limit_exceeded");
    refused
        .assert_header("x-ratelimit-limit-requests", "3")
        .assert_header("x-ratelimit-remaining-requests", "0");
    assert!((1..=20).contains(&refused.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let refused = app.chat(&token, "hi").await;
    refused.assert_error(429, "Too many requests");
    assert_eq!(app.balance(&token).await, 3700, "only answered chats are charged");
    let bob = app.user("bob").await;
    complete(&app, &bob, json!({})).await.assert_status(200);
}

#[actix_web::test]
async fn the_reset_has_the_format_that_clients_expect() {
    let flags = ["--throttle", "on", "--requests-per-minute", "600"];
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    complete(&app, &token, json!({})).await.assert_header("x-ratelimit-reset-requests", "100ms");
    let error = complete(&app, &token, json!({ "model": "gpt-9" })).await;
    error.assert_status(404).assert_header("x-ratelimit-limit-requests", "600");
}

#[actix_web::test]
async fn a_user_can_have_limits_of_their_own() {
    let flags = ["--throttle", "on", "--requests-per-minute", "1"];
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    app.sql("UPDATE users SET requests_per_minute = 5");
    complete(&app, &token, json!({})).await.assert_header("x-ratelimit-limit-requests", "5");
    complete(&app, &token, json!({})).await.assert_status(200);
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &["--throttle", "on"]).await else { return };
    app.sql("UPDATE users SET requests_per_minute = 0");
    complete(&app, &token, json!({})).await.assert_status(429);
}

/// Returns the steps of an answer that waits for the signal.
fn delayed(signal: &Signal) -> Vec<Step> {
    vec![head(), signal.step(), text("late"), finish("stop"), done(), Step::End]
}

async fn wait_for_pending(app: &TestApp, count: i64) {
    crate::support::app::eventually("holds", async || app.count("chats WHERE state = 'pending'") == count)
        .await;
}

#[rstest]
#[actix_web::test]
async fn the_number_of_concurrent_chats_of_a_user_is_limited(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(None, Some(2))] own: Option<i64>,
) {
    let most = if own.is_some() { "7" } else { "2" };
    let Some((app, upstream, token)) = spawn(on, &["--concurrent-chats", most]).await else { return };
    if let Some(own) = own {
        app.sql(&format!("UPDATE users SET concurrent_chats = {own}"));
    }
    let signal = Signal::default();
    let mut waiting = Vec::new();
    for number in 1..=2 {
        upstream.next(delayed(&signal));
        let body = json!({ "message": "hi" });
        let request = app.request("POST", "/chat/").bearer(&token).json(&body).send();
        waiting.push(actix_web::rt::spawn(request));
        wait_for_pending(&app, number).await;
    }
    let refused = app.chat(&token, "hi").await;
    refused.assert_error(429, "Too many requests").assert_header("retry-after", "1");
    let refused = complete(&app, &token, json!({})).await;
    assert_eq!(refused.assert_status(429).json()["error"]["code"], "rate_limit_exceeded");
    let bob = app.user("bob").await;
    upstream.otherwise(answer("Hello", 1, 1));
    app.chat(&bob, "hi").await.assert_status(201);
    signal.release();
    signal.release();
    for answer in waiting {
        answer.await.unwrap().assert_status(201);
    }
    app.chat(&token, "hi").await.assert_status(201);
    assert_eq!((app.balance(&token).await, app.balance(&bob).await), (3700, 3900));
}
