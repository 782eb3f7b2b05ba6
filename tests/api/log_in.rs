//! Log-in: its responses, and the auth tokens that it makes.

use rstest::rstest;
use serde_json::{Value, json};
use tollgate::auth::password_hash;
use tollgate::domain::Password;

use crate::support::On;
use crate::support::app::{GUEST, TestApp};
use crate::support::server::PASSWORD;

/// Makes three users: one that can log in, one that is deactivated, and one whose password nobody
/// can know.
async fn with_users(on: On, flags: &[&str]) -> Option<TestApp> {
    let app = TestApp::spawn_with(on, flags).await?;
    for name in ["ada", "inactive", "unusable"] {
        app.register(name).await.assert_status(201);
    }
    app.sql("UPDATE users SET is_active = FALSE WHERE username = 'inactive'");
    app.sql("UPDATE users SET password = '!cannot-be-used' WHERE username = 'unusable'");
    Some(app)
}

/// Log-ins that fail, each with its default error text.
fn failing() -> Vec<(Value, &'static str)> {
    let long = "x".repeat(1025);
    let log_in = |name: &str, password: &str| json!({ "username": name, "password": password });
    vec![
        (log_in("nobody", PASSWORD), "Invalid username"),
        (log_in("", PASSWORD), "Invalid username"),
        (log_in("ada\0", PASSWORD), "Invalid username"),
        (log_in(&long, PASSWORD), "Invalid username"),
        (json!({}), "Invalid username"),
        (json!({ "password": PASSWORD }), "Invalid username"),
        (json!({ "username": 5, "password": PASSWORD }), "Invalid username"),
        (json!({ "username": ["ada"], "password": PASSWORD }), "Invalid username"),
        (log_in("ada", "wrong"), "Invalid password"),
        (log_in("ada", ""), "Invalid password"),
        (log_in("ada", &PASSWORD.to_uppercase()), "Invalid password"),
        (log_in("ada", &format!("{PASSWORD} ")), "Invalid password"),
        (log_in("ada", &long), "Invalid password"),
        (json!({ "username": "ada" }), "Invalid password"),
        (json!({ "username": "ada", "password": null }), "Invalid password"),
        (json!({ "username": "ada", "password": [PASSWORD] }), "Invalid password"),
        (log_in("inactive", PASSWORD), "Invalid password"),
        (log_in("inactive", "wrong"), "Invalid password"),
        (log_in("unusable", PASSWORD), "Invalid password"),
        (log_in("unusable", "!cannot-be-used"), "Invalid password"),
    ]
}

#[rstest]
#[actix_web::test]
async fn a_failed_login_says_which_field_was_wrong(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = with_users(on, &[]).await else { return };
    for (body, error) in failing() {
        let answer = app.post("/login/", GUEST, body.clone()).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{body}");
    }
    assert_eq!(app.count("auth_tokens"), 0);
    app.log_in("ada", PASSWORD).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn with_unified_errors_every_failed_login_gets_the_same_error(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = with_users(on, &["--login-errors", "unified"]).await else { return };
    for (body, _) in failing() {
        let answer = app.post("/login/", GUEST, body).await;
        answer.assert(400, r#"{"error":"Invalid username or password"}"#);
        let problem = app.request("POST", "/login/").header("Accept", "application/problem+json");
        let problem = problem.json(&json!({ "username": "nobody", "password": "x" })).send().await;
        assert_eq!(problem.json()["type"], "urn:tollgate:problem:invalid-credentials");
    }
    app.log_in("ada", PASSWORD).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_login_adds_an_auth_token_and_the_others_stay(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let first = app.user("ada").await;
    let second = app.token("ada").await;
    assert_ne!(first, second);
    assert_eq!((app.balance(&first).await, app.balance(&second).await), (4000, 4000));
    assert_eq!(app.count("users WHERE last_login > date_joined"), 1, "the last login is recorded");
}

#[rstest]
#[actix_web::test]
async fn the_21st_login_revokes_the_least_recently_used(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let first = app.user("ada").await;
    let named = app.post("/auth-tokens/", &first, json!({ "name": "server" })).await;
    let named = named.json()["token"].as_str().unwrap().to_owned();
    let mut tokens = vec![first];
    for _ in 1..20 {
        tokens.push(app.token("ada").await);
    }
    app.sql("UPDATE auth_tokens SET created_at = '2020-01-01 00:00:00' WHERE name IS NOT NULL");
    // This uses the first one, so that the second is now the least recently used.
    app.balance(&tokens[0]).await;
    app.services.auth.write_last_uses().await;
    tokens.push(app.token("ada").await);
    let mut dead = Vec::new();
    for (number, token) in tokens.iter().enumerate() {
        if app.get("/balance/", token).await.status == 401 {
            dead.push(number);
        }
    }
    assert_eq!(dead, [1]);
    assert_eq!(app.balance(&named).await, 4000, "a login never revokes a named auth token");
    assert_eq!(app.count("auth_tokens WHERE name IS NULL"), 20);
    // Uses that are not written yet count, too: the first token was used before the others.
    tokens.push(app.token("ada").await);
    app.get("/balance/", &tokens[0]).await.assert_status(401);
    app.get("/balance/", &tokens[2]).await.assert_status(200);
}

/// Such passwords come from an import, or are older than the rules.
#[rstest]
#[actix_web::test]
async fn a_stored_password_that_the_rules_would_now_reject_still_logs_in(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("ada").await.assert_status(201);
    app.sql(&format!("UPDATE users SET password = '{}'", hash_of("tollgate2026", 4)));
    app.log_in("ada", "tollgate2026").await.assert_status(200);
}

/// The time must not show which names exist, even after `--bcrypt-cost` was lowered and the stored
/// hashes still take as long as before.
#[rstest]
#[actix_web::test]
async fn an_unknown_name_takes_as_long_as_stored_hashes_usually_do(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("old").await.assert_status(201);
    app.sql(&format!("UPDATE users SET password = '{}'", hash_of(PASSWORD, 6)));
    app.register("new").await.assert_status(201);
    assert_eq!(app.services.auth.cost_of_unknown_names(), 4, "no stored hash has been sampled yet");
    app.log_in("nobody", "wrong").await.assert_status(400);
    assert_eq!(app.services.auth.cost_of_unknown_names(), 6);
}

fn hash_of(password: &str, cost: u32) -> String {
    password_hash::hash(&Password::parse(password).unwrap(), cost).unwrap()
}
