use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::{data, spawn};
use super::super::complete;
use super::{ask, ask_under};
use crate::support::On;
use crate::support::app::TestApp;

/// Returns the model that answers a request for a model of this name. `None` if there is none.
async fn answers(app: &TestApp, token: &str, name: &str) -> Option<String> {
    let answer = ask(app, token, json!({ "model": name })).await;
    match answer.status {
        404 => None,
        _ => answer.assert_status(200).json()["model"].as_str().map(str::to_owned),
    }
}

#[rstest]
#[actix_web::test]
async fn an_alias_stands_for_its_model_in_every_dialect(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    app.sql("UPDATE models SET aliases = 'claude-*, gpt-4' WHERE name = 'vendor/other'");
    app.sql("UPDATE models SET aliases = 'claude-opus-*, vendor/other' WHERE name = 'm'");
    for (name, wanted) in [
        ("m", Some("m")),
        ("vendor/other", Some("vendor/other")),
        ("claude-opus-4-5", Some("m")),
        ("claude-haiku-4-5", Some("vendor/other")),
        ("gpt-4", Some("vendor/other")),
        ("gpt-4o", None),
    ] {
        assert_eq!(answers(&app, &token, name).await.as_deref(), wanted, "{name}");
    }
    let completed = complete(&app, &token, json!({ "model": "gpt-4" })).await;
    assert_eq!(completed.assert_status(200).json()["model"], "vendor/other");
    assert_eq!(upstream.requests().last().unwrap().body["model"], "vendor/other");
    let streamed = ask(&app, &token, json!({ "model": "gpt-4", "stream": true })).await;
    assert_eq!(data(&streamed)[0]["message"]["model"], "vendor/other");
    for model in app.get("/chats/", &token).await.json()["chats"].as_array().unwrap() {
        assert!(["m", "vendor/other"].contains(&model["model"].as_str().unwrap()), "{model}");
    }
    let shown = app.get("/v1/models/claude-opus-9", &token).await;
    assert_eq!(shown.assert_status(200).json()["id"], "m");
    app.get("/v1/models/gpt-4o", &token).await.assert_status(404);
    let listed: Vec<Value> = app.get("/v1/models", &token).await.json()["data"].as_array().unwrap().clone();
    assert_eq!(listed.iter().map(|model| &model["id"]).collect::<Vec<_>>(), ["m", "vendor/other"]);
}

#[actix_web::test]
async fn an_alias_costs_the_price_of_its_model_and_is_replayed_under_its_key() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    app.sql("UPDATE models SET aliases = 'claude-*' WHERE name = 'vendor/other'");
    app.sql(
        "UPDATE models SET base_price = 7, prompt_price = 0, completion_price = 0 WHERE name = 'vendor/other'",
    );
    for charged in ["7", "7"] {
        let answer = ask_under(&app, &token, "one", json!({ "model": "claude-9" })).await;
        answer.assert_status(200).assert_header("x-tokens-charged", charged);
        assert_eq!(answer.json()["model"], "vendor/other");
    }
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3993, 1));
}

#[actix_web::test]
async fn the_aliases_of_a_withdrawn_model_lead_nowhere_and_its_name_may_be_an_alias() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    app.sql("UPDATE models SET aliases = 'claude-*' WHERE name = 'm'");
    assert_eq!(answers(&app, &token, "claude-9").await.as_deref(), Some("m"));
    app.sql("UPDATE models SET is_withdrawn = TRUE WHERE name = 'm'");
    assert_eq!(answers(&app, &token, "claude-9").await, None);
    assert_eq!(answers(&app, &token, "m").await, None);
    app.sql("UPDATE models SET aliases = 'm' WHERE name = 'vendor/other'");
    assert_eq!(answers(&app, &token, "m").await.as_deref(), Some("vendor/other"));
}
