//! Several answers to one request (`n`), and what each costs.

use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::{data, spawn};
use super::{complete, question};
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::{Step, done, event, head, usage};

fn part(choice: usize, text: &str, finish_reason: Option<&str>) -> Step {
    let choice = json!({ "index": choice, "delta": { "content": text }, "finish_reason": finish_reason });
    event(&json!({ "choices": [choice] }).to_string())
}

/// Returns a script whose choices arrive in turn.
fn choices(texts: &[&str]) -> Vec<Step> {
    let each = |reason: Option<&'static str>| {
        move |(choice, text): (usize, &&str)| part(choice, if reason.is_some() { "!" } else { text }, reason)
    };
    let mut script = vec![head()];
    script.extend(texts.iter().enumerate().map(each(None)));
    script.extend(texts.iter().enumerate().map(each(Some("stop"))));
    script.extend([usage(9, 6), done(), Step::End]);
    script
}

/// Returns the text of each choice, whether the answer came whole or as a stream.
fn texts(answer: &Answer, streamed: bool) -> Vec<String> {
    let mut texts = vec![String::new(); 3];
    let chunks = if streamed { data(answer) } else { vec![answer.json()] };
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    for choice in choices {
        let said = if streamed { &choice["delta"]["content"] } else { &choice["message"]["content"] };
        texts[choice["index"].as_u64().unwrap() as usize].push_str(said.as_str().unwrap_or_default());
    }
    texts
}

fn ledger(app: &TestApp) -> (i64, i64) {
    let sum = |kinds: &str| {
        app.number(&format!(
            "SELECT coalesce(sum(amount), 0) AS value FROM ledger_entries WHERE kind IN ({kinds})"
        ))
    };
    (sum("'charge'"), sum("'settlement', 'refund'"))
}

#[rstest]
#[actix_web::test]
async fn three_answers_are_held_and_charged_as_three(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(true, false)] streamed: bool,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(choices(&["a", "b", "c"]));
    let ask = async || {
        let request =
            app.request("POST", "/v1/chat/completions").bearer(&token).header("Idempotency-Key", "k");
        request.json(&question(json!({ "n": 3, "stream": streamed }))).send().await
    };
    let first = ask().await;
    assert_eq!(texts(first.assert_status(200), streamed), ["a!", "b!", "c!"]);
    assert_eq!(upstream.requests()[0].body["n"], 3);
    assert_eq!((app.balance(&token).await, ledger(&app)), (3700, (-300, 0)));
    let again = ask().await;
    assert_eq!(texts(again.assert_header("idempotency-replayed", "true"), streamed), ["a!", "b!", "c!"]);
    assert_eq!(app.balance(&token).await, 3700);
}

#[rstest]
#[actix_web::test]
async fn by_usage_three_times_the_price_is_held_and_the_usage_charged(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &["--upstream-max-output", "100"]).await else { return };
    app.sql("UPDATE models SET base_price = 5, prompt_price = 1000, completion_price = 1000");
    upstream.next(choices(&["a"]));
    complete(&app, &token, json!({})).await.assert_status(200);
    let (one, _) = ledger(&app);
    upstream.next(choices(&["a", "b", "c"]));
    complete(&app, &token, json!({ "n": 3 })).await.assert_status(200);
    assert_eq!(ledger(&app).0, one * 4, "the hold of three is three times the hold of one");
    assert_eq!(app.balance(&token).await, 4000 - 2 * (5 + 9 + 6));
}

#[actix_web::test]
async fn an_upstream_that_answers_less_often_is_paid_for_what_it_answered() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(choices(&["a", "b"]));
    let answer = complete(&app, &token, json!({ "n": 3 })).await;
    assert_eq!(texts(answer.assert_status(200), false), ["a!", "b!", ""]);
    assert_eq!((app.balance(&token).await, ledger(&app)), (3800, (-300, 100)));
}

#[actix_web::test]
async fn an_answer_is_refunded_if_one_of_its_choices_has_no_end() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next([head(), part(0, "a", Some("stop")), part(1, "b", None), done(), Step::End]);
    complete(&app, &token, json!({ "n": 2 })).await.assert_status(502);
    assert_eq!(app.balance(&token).await, 4000);
}

#[actix_web::test]
async fn the_dummy_answers_as_often_as_it_is_asked_to() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let answer = complete(&app, &token, json!({ "model": "dummy", "n": 2 })).await;
    assert_eq!(texts(answer.assert_status(200), false), ["Response to hi", "Response to hi", ""]);
    assert_eq!(app.balance(&token).await, 3800);
    let other: Value = complete(&app, &token, json!({ "model": "dummy" })).await.json();
    assert_eq!(other["choices"].as_array().unwrap().len(), 1);
}
