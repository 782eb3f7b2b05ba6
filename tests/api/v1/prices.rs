use rstest::rstest;
use serde_json::json;

use super::super::upstream::{data, spawn};
use super::complete;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::upstream::answer;

fn set_price(app: &TestApp, base: i64, prompt: i64, completion: i64) {
    app.sql(&format!(
        "UPDATE models SET base_price = {base}, prompt_price = {prompt}, completion_price = {completion}"
    ));
}

#[rstest]
#[actix_web::test]
async fn a_price_by_usage_holds_the_maximum_and_returns_the_rest(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(true, false)] streamed: bool,
) {
    let Some((app, upstream, token)) = spawn(on, &["--upstream-max-output", "100"]).await else { return };
    set_price(&app, 5, 10, 3000);
    upstream.next(answer("Hello dear world", 9, 3));
    let answer = complete(&app, &token, json!({ "stream": streamed })).await;
    // 5 + (9 x 10 + 3 x 3000) / 1000, rounded up.
    assert_eq!(app.balance(&token).await, 4000 - 15);
    let held: i64 = app.number("SELECT charge AS value FROM chats");
    assert!((305..=307).contains(&held), "{held}");
    assert_eq!(app.number("SELECT amount AS value FROM ledger_entries WHERE kind = 'settlement'"), held - 15);
    if streamed {
        answer.assert_header("x-tokens-charged", &held.to_string());
    } else {
        answer.assert_header("x-tokens-charged", "15").assert_header("x-tokens-remaining", "3985");
    }
}

#[actix_web::test]
async fn the_final_cost_is_in_the_stream_and_in_its_replay() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--upstream-max-output", "100"]).await else {
        return;
    };
    set_price(&app, 5, 10, 3000);
    upstream.next(answer("Hello dear world", 9, 3));
    let ask = async || {
        let request = app.request("POST", "/chat/").bearer(&token).header("Idempotency-Key", "one");
        request.json(&json!({ "message": "hi", "stream": true })).send().await
    };
    for _ in 0..2 {
        let answer = ask().await;
        let done = data(&answer).pop().unwrap();
        assert_eq!((&done["charged"], &done["remaining"]), (&json!(15), &json!(3985)));
    }
}

#[actix_web::test]
async fn a_hold_above_the_balance_is_refused_and_a_smaller_max_tokens_succeeds() {
    let flags = ["--upstream-max-output", "10000", "--top-up", "https://shop.example"];
    let Some((app, upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    set_price(&app, 0, 0, 1000);
    let too_much = complete(&app, &token, json!({})).await;
    let error = too_much.assert_status(402).json()["error"].clone();
    assert_eq!(error["code"], "insufficient_quota");
    assert_eq!(
        error["message"],
        "Insufficient tokens. This may cost up to 4096 tokens and the balance is 4000. To top it up: https://shop.example"
    );
    complete(&app, &token, json!({ "max_tokens": 4000 })).await.assert_status(200);
    assert_eq!(upstream.requests().len(), 1);
}

#[rstest]
#[case(0, 0, 5)]
#[case(1, 0, 6)]
#[case(10_000_000, 10_000_000, 306)]
#[actix_web::test]
async fn a_cost_is_at_least_the_base_price_and_at_most_the_hold(
    #[case] prompt: i64,
    #[case] completion: i64,
    #[case] cost: i64,
) {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--upstream-max-output", "100"]).await else {
        return;
    };
    set_price(&app, 5, 10, 3000);
    upstream.next(answer("Hello", prompt, completion));
    complete(&app, &token, json!({})).await.assert_status(200);
    let held: i64 = app.number("SELECT charge AS value FROM chats");
    assert_eq!(app.balance(&token).await, 4000 - cost.min(held));
    assert!(cost.min(held) == cost || held >= 305, "{held}");
}
