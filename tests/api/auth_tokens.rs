//! Named auth tokens, until they are revoked or expire.

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{Request, TestApp};

async fn make(app: &TestApp, token: &str, body: Value) -> Value {
    let answer = app.post("/auth-tokens/", token, body).await;
    answer.assert_status(201);
    answer.json()
}

async fn list(app: &TestApp, token: &str) -> Vec<Value> {
    app.get("/auth-tokens/", token).await.json()["auth_tokens"].as_array().unwrap().clone()
}

#[rstest]
#[actix_web::test]
async fn a_named_auth_token_is_shown_once_and_works_until_it_is_revoked(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let login = app.user("ada").await;
    let made = make(&app, &login, json!({ "name": "  CI server " })).await;
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_i64().unwrap());
    assert!(token.starts_with("tg_") && token.len() == 46, "{token}");
    assert_eq!(made["first_characters"], token[..10]);
    assert_eq!((&made["name"], &made["current"]), (&json!("CI server"), &json!(false)));
    assert_eq!((&made["expires_at"], &made["last_used_at"]), (&json!(null), &json!(null)));
    app.chat(token, "Hello").await.assert_status(201);
    assert_eq!(app.balance(&login).await, 3900, "it spends its user's balance");
    let listed = app.get("/auth-tokens", &login).await;
    for secret in [token, &login] {
        assert!(!listed.text().contains(secret), "{}", listed.text());
    }
    let names: Vec<_> =
        list(&app, token).await.iter().map(|one| (one["name"].clone(), one["current"].clone())).collect();
    assert_eq!(names, [(json!("CI server"), json!(true)), (json!(null), json!(false))]);
    app.delete(&format!("/auth-tokens/{id}"), &login).await.assert(204, "");
    app.get("/balance/", token).await.assert_error(401, "Unauthorized");
    app.delete(&format!("/auth-tokens/{id}/"), &login).await.assert_error(404, "Not found");
    assert_eq!(list(&app, &login).await.len(), 1);
}

#[rstest]
#[actix_web::test]
async fn only_a_digest_is_stored(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let row = match on {
        On::Sqlite => {
            "SELECT hex(digest) || first_characters || coalesce(name, '') AS value FROM auth_tokens"
        }
        On::Postgres => {
            "SELECT digest::text || first_characters || coalesce(name, '') AS value FROM auth_tokens"
        }
    };
    let row = app.text(row).unwrap();
    assert!(row.contains(&token[..10]) && !row.contains(&token[..11]), "{row}");
    let in_hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!row.to_lowercase().contains(&in_hex[..24]), "{row}");
}

#[rstest]
#[actix_web::test]
async fn an_auth_token_expires_when_its_days_are_over(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let login = app.user("ada").await;
    let made = make(&app, &login, json!({ "name": "visit", "expires_in_days": 7 })).await;
    let time = |field: &str| chrono::DateTime::parse_from_rfc3339(made[field].as_str().unwrap()).unwrap();
    assert_eq!((time("expires_at") - time("created_at")).num_seconds(), 7 * 86_400);
    let token = made["token"].as_str().unwrap();
    assert_eq!(app.balance(token).await, 4000);
    app.sql("UPDATE auth_tokens SET expires_at = '2020-01-01 00:00:00' WHERE name = 'visit'");
    app.get("/balance/", token).await.assert_error(401, "Unauthorized");
    app.chat(token, "Hello").await.assert_error(401, "Unauthorized");
    assert_eq!(list(&app, &login).await.len(), 1, "expired auth tokens are not listed");
}

#[rstest]
#[actix_web::test]
async fn a_name_and_a_whole_number_of_days_are_required(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for (body, error) in [
        (json!({}), "Invalid name"),
        (json!({ "name": "" }), "Invalid name"),
        (json!({ "name": " \t" }), "Invalid name"),
        (json!({ "name": "two\nlines" }), "Invalid name"),
        (json!({ "name": "x".repeat(101) }), "Invalid name"),
        (json!({ "name": "a\0b" }), "Invalid body"),
        (json!({ "name": 5 }), "Invalid body"),
        (json!({ "name": "n", "expires_in_days": 0 }), "Invalid expires_in_days"),
        (json!({ "name": "n", "expires_in_days": -1 }), "Invalid expires_in_days"),
        (json!({ "name": "n", "expires_in_days": 36_501 }), "Invalid expires_in_days"),
        (json!({ "name": "n", "expires_in_days": 1.5 }), "Invalid body"),
        (json!({ "name": "n", "expires_in_days": "7" }), "Invalid body"),
        (json!({ "name": "n", "expires_in_days": 9_223_372_036_854_775_808_u64 }), "Invalid body"),
    ] {
        let answer = app.post("/auth-tokens/", &token, body.clone()).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{body}");
    }
    assert_eq!(app.count("auth_tokens"), 1);
    make(&app, &token, json!({ "name": "ü".repeat(100), "expires_in_days": 36_500 })).await;
    make(&app, &token, json!({ "name": "n", "expires_in_days": null })).await;
}

#[rstest]
#[actix_web::test]
async fn a_user_has_at_most_100_live_named_auth_tokens(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (bob, token) = (app.user("bob").await, app.user("ada").await);
    let mut last = Value::Null;
    for number in 0..100 {
        last = make(&app, &token, json!({ "name": format!("number {number}") })).await;
    }
    let one_more = json!({ "name": "one more" });
    app.post("/auth-tokens/", &token, one_more.clone()).await.assert_error(400, "Invalid name");
    assert_eq!(list(&app, &token).await.len(), 101);
    make(&app, &bob, one_more.clone()).await;
    app.token("ada").await;
    app.delete(&format!("/auth-tokens/{}/", last["id"]), &token).await.assert_status(204);
    make(&app, &token, one_more.clone()).await;
    app.post("/auth-tokens/", &token, one_more.clone()).await.assert_error(400, "Invalid name");
    app.sql("UPDATE auth_tokens SET expires_at = '2020-01-01 00:00:00' WHERE name = 'number 7'");
    make(&app, &token, one_more).await;
}

#[rstest]
#[actix_web::test]
async fn the_last_use_is_recorded(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let login = app.user("ada").await;
    let mut tokens = Vec::new();
    for name in ["chats", "reads", "fails", "idle"] {
        let made = make(&app, &login, json!({ "name": name })).await;
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    app.chat(&tokens[0], "Hello").await.assert_status(201);
    app.get("/balance/", &tokens[1]).await.assert_status(200);
    app.chat(&tokens[2], "").await.assert_status(400);
    app.services.auth.write_last_uses().await;
    let listed = list(&app, &login).await;
    let used = |name: &str| {
        let one = listed.iter().find(|one| one["name"] == name).unwrap();
        let time = one["last_used_at"].as_str();
        assert!(time.is_none_or(|time| time > one["created_at"].as_str().unwrap()), "{one}");
        time.is_some()
    };
    assert_eq!(["chats", "reads", "fails", "idle"].map(used), [true, true, true, false]);
    // A use that is earlier than the stored one changes nothing: another node may have written a
    // later one.
    app.sql("UPDATE auth_tokens SET last_used_at = '2199-01-01 00:00:00' WHERE name = 'chats'");
    app.get("/balance/", &tokens[0]).await.assert_status(200);
    app.services.auth.write_last_uses().await;
    assert_eq!(app.count("auth_tokens WHERE last_used_at = '2199-01-01 00:00:00'"), 1);
}

/// Making and revoking auth tokens is free, so it must not fill the disk.
#[rstest]
#[actix_web::test]
async fn only_the_latest_100_ended_auth_tokens_are_kept(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for number in 0..130 {
        let made = app.post("/auth-tokens/", &token, json!({ "name": format!("number {number}") })).await;
        let id = &made.json()["id"];
        app.delete(&format!("/auth-tokens/{id}/"), &token).await.assert_status(204);
    }
    assert!((100..=101).contains(&app.count("auth_tokens WHERE revoked_at IS NOT NULL")));
    assert_eq!(app.count("auth_tokens WHERE name = 'number 129'"), 1);
    for _ in 0..5 {
        let another = app.token("ada").await;
        app.post("/logout/", &another, json!({})).await.assert_status(200);
    }
    assert!((100..=101).contains(&app.count("auth_tokens WHERE revoked_at IS NOT NULL")));
    app.get("/balance/", &token).await.assert_status(200);
}

/// Sends the same request for an auth token under a key.
fn keyed<'a>(app: &'a TestApp, token: &str, key: &str, body: &Value) -> Request<'a> {
    app.request("POST", "/auth-tokens/").bearer(token).header("Idempotency-Key", key).json(body)
}

#[rstest]
#[actix_web::test]
async fn one_idempotency_key_makes_one_auth_token(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let body = json!({ "name": "CI server", "expires_in_days": 7 });
    let mut answers = join_all((0..4).map(|_| keyed(&app, &ada, "k-1", &body).send())).await;
    let first = answers.iter().position(|answer| answer.status == 201).expect("one is made");
    let made = answers.remove(first).json();
    answers.push(keyed(&app, &ada, "k-1", &body).send().await);
    let id = made["id"].as_i64().unwrap();
    for answer in &answers {
        let error = format!(
            "This auth token was made already, with the id {id}. For another one, use a new \
                             Idempotency-Key"
        );
        answer.assert_error(409, &error);
    }
    let problem = keyed(&app, &ada, "k-1", &body).header("Accept", "application/problem+json").send().await;
    assert_eq!(problem.json()["type"], "urn:tollgate:problem:auth-token-made");
    let advice = problem.json()["detail"].as_str().unwrap().to_owned();
    assert!(advice.contains(&format!("DELETE /auth-tokens/{id}/")), "{advice}");
    assert_eq!(list(&app, &ada).await.len(), 2);
    for other in [json!({ "name": "CI server" }), json!({ "name": "laptop", "expires_in_days": 7 })] {
        let answer = keyed(&app, &ada, "k-1", &other).send().await;
        answer.assert_error(422, "This Idempotency-Key was used for another request");
    }
    // Another user's key, another key, and the same key of another kind of request are something
    // else.
    keyed(&app, &bob, "k-1", &body).send().await.assert_status(201);
    keyed(&app, &ada, "k-2", &body).send().await.assert_status(201);
    app.chat_with_key(&ada, "Hello", "k-1").await.assert_status(201);
    // It was made, even if it has been revoked since.
    app.delete(&format!("/auth-tokens/{id}/"), &ada).await.assert_status(204);
    keyed(&app, &ada, "k-1", &body).send().await.assert_status(409);
    app.get("/balance/", made["token"].as_str().unwrap()).await.assert_status(401);
    keyed(&app, &ada, "not ascii é", &body).send().await.assert_error(400, "Invalid Idempotency-Key");
}
