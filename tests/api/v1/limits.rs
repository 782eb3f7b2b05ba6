use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rstest::rstest;
use serde_json::json;

use super::super::upstream::spawn;
use super::{complete, question};
use crate::support::On;
use crate::support::app::{Answer, TestApp};
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
    let Some((app, upstream, token)) =
        spawn(on, &["--concurrent-chats", most, "--upstream-waiting", "0"]).await
    else {
        return;
    };
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
    refused.assert_error(429, "Too many requests");
    assert!((2..=6).contains(&refused.header("retry-after").unwrap().parse::<u64>().unwrap()));
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

/// Sends requests of one user, all at once.
fn burst(app: &TestApp, token: &str, count: usize) -> FuturesUnordered<JoinHandle<Answer>> {
    let send = |_| {
        let request = app.request("POST", "/v1/chat/completions").bearer(token);
        actix_web::rt::spawn(request.json(&question(json!({ "user": "burst" }))).send())
    };
    (0..count).map(send).collect()
}

#[rstest]
#[actix_web::test]
async fn a_burst_of_one_user_is_answered_in_turn_and_others_do_not_wait(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    // The time is for slow machines.
    let flags = ["--opening-tokens", "10000", "--upstream-patience", "60"];
    let Some((app, upstream, token)) = spawn(on, &flags).await else { return };
    let bob = app.user("bob").await;
    let signal = Signal::default();
    upstream.otherwise(delayed(&signal));
    upstream.when("from bob", answer("Hello", 1, 1));
    let burst = burst(&app, &token, 100);
    wait_for_pending(&app, 32).await;
    app.chat(&bob, "from bob").await.assert_status(201);
    assert_eq!(app.count("chats WHERE state = 'pending'"), 32, "no more than the user's limit");
    for _ in 0..100 {
        signal.release();
    }
    let answers: Vec<_> = burst.map(Result::unwrap).collect().await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{:?}", statuses(&answers));
    assert_eq!((app.balance(&token).await, app.count("chats WHERE state = 'complete'")), (0, 101));
    app.assert_sound();
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// Holds on another node are in the database only.
#[rstest]
#[actix_web::test]
async fn a_request_waits_for_a_chat_on_another_node_to_end(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--concurrent-chats", "1", "--upstream-patience", "60"];
    let Some((app, upstream, token)) = spawn(on, &flags).await else { return };
    let elsewhere = app.hold(&token).await;
    let mut burst = burst(&app, &token, 3);
    let early = tokio::time::timeout(Duration::from_millis(500), burst.next()).await;
    assert!(early.is_err() && upstream.requests().is_empty(), "{early:?}");
    let bob = app.user("bob").await;
    app.chat(&bob, "hi").await.assert_status(201);
    app.sql(&format!("UPDATE chats SET state = 'complete', deadline = NULL WHERE id = {elsewhere}"));
    let answers: Vec<_> = burst.map(Result::unwrap).collect().await;
    assert_eq!(statuses(&answers), [200; 3]);
}

#[actix_web::test]
async fn those_who_wait_in_vain_get_different_times_to_retry() {
    let flags = ["--opening-tokens", "10000", "--upstream-patience", "1"];
    let Some((app, upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    upstream.otherwise([head(), Step::Hang]);
    let burst = burst(&app, &token, 100);
    let rejected: Vec<_> = burst.take(68).map(Result::unwrap).collect().await;
    assert_eq!(statuses(&rejected), [429; 68]);
    let waits: BTreeSet<u64> =
        rejected.iter().map(|answer| answer.header("retry-after").unwrap().parse().unwrap()).collect();
    assert!(waits.len() > 1 && waits.iter().all(|wait| (2..=6).contains(wait)), "{waits:?}");
    assert_eq!(app.balance(&token).await, 10_000 - 32 * 100);
}
