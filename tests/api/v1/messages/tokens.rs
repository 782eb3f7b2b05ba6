use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::spawn;
use super::{ask, question};
use crate::support::On;
use crate::support::app::{Answer, GUEST};

const PATH: &str = "/v1/messages/count_tokens";

#[rstest]
#[actix_web::test]
async fn the_count_is_the_bound_that_is_held_and_costs_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    app.sql(
        "UPDATE models SET base_price = 0, prompt_price = 1000, completion_price = 0, aliases = 'claude-*'",
    );
    let mut body = question(json!({ "model": "claude-9", "system": "Be kind.",
        "tools": [{ "name": "f", "input_schema": { "type": "object" } }] }));
    body.as_object_mut().unwrap().remove("max_tokens");
    let counted = app.post(PATH, &token, body.clone()).await;
    counted.assert_status(200).assert_header("x-token-count", "upper-bound");
    assert_eq!(counted.header("request-id"), counted.header("x-request-id"));
    let bound = counted.json()["input_tokens"].as_i64().unwrap();
    assert_eq!(counted.json(), json!({ "input_tokens": bound }));
    assert_eq!((app.count("chats"), upstream.requests().len(), app.balance(&token).await), (0, 0, 4000));
    ask(&app, &token, body).await.assert_status(200);
    assert_eq!(app.number("SELECT charge AS value FROM chats"), bound);
}

#[rstest]
#[actix_web::test]
async fn a_count_says_what_is_left_of_the_changes(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, _upstream, token)) = spawn(on, &["--throttle", "on"]).await else { return };
    let count = async |token: &str, body: Value| app.post(PATH, token, body).await;
    let remaining = |answer: &Answer| {
        answer.assert_header("anthropic-ratelimit-requests-limit", "600");
        answer.assert_header("x-ratelimit-limit-requests", "600");
        assert!(answer.header("anthropic-ratelimit-requests-reset").is_some());
        let left = answer.header("anthropic-ratelimit-requests-remaining").unwrap();
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(left));
        left.parse::<u32>().unwrap()
    };
    let first = remaining(&count(&token, question(json!({}))).await);
    // A request that is refused counts, too.
    let refused = count(&token, json!({})).await;
    let second = remaining(refused.assert_status(400));
    // About ten a second come back.
    assert!((590..=599).contains(&first) && (590..=599).contains(&second), "{first} {second}");
    let limited = loop {
        // Some of the allowance comes back with time, so it is used up again first.
        while app.delete("/auth-tokens/0/", &token).await.status == 404 {}
        let answer = count(&token, question(json!({}))).await;
        if answer.status == 429 {
            break answer;
        }
    };
    assert_eq!(limited.assert_status(429).json()["error"]["type"], "rate_limit_error");
    assert_eq!(remaining(&limited), 0);
    let stranger = count("tg_wrong", json!({})).await;
    assert_eq!(stranger.assert_status(401).header("anthropic-ratelimit-requests-limit"), None);
}

#[actix_web::test]
async fn a_count_needs_an_auth_token_a_model_and_a_sound_request() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let fault = async |token: &str, body: Value| {
        let answer = app.post(PATH, token, body).await;
        let error = answer.json()["error"].clone();
        (answer.status, error["type"].clone(), error["param"].clone())
    };
    let invalid = json!("invalid_request_error");
    for token in [GUEST, "tg_wrong"] {
        let (status, kind, _) = fault(token, json!({ "messages": 7 })).await;
        assert_eq!((status, kind), (401, json!("authentication_error")));
    }
    let other = question(json!({ "model": "claude-9" }));
    assert_eq!(fault(&token, other).await, (404, json!("not_found_error"), json!("model")));
    let wrong = question(json!({ "messages": [] }));
    assert_eq!(fault(&token, wrong).await, (400, invalid.clone(), json!("messages")));
    let broken = app.request("POST", PATH).bearer(&token).body("{").send().await;
    assert_eq!(broken.assert_status(400).json()["error"]["param"], "body");
    app.sql("UPDATE models SET accepts_tools = FALSE");
    let tools = question(json!({ "tools": [{ "name": "f", "input_schema": {} }] }));
    assert_eq!(fault(&token, tools).await, (400, invalid, json!("tools")));
}
