//! `POST /password/`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::server::PASSWORD;

const NEW: &str = "other horse battery";

fn change(old: &str, new: &str) -> Value {
    json!({ "old_password": old, "new_password": new })
}

#[rstest]
#[actix_web::test]
async fn a_new_password_revokes_the_old_one_and_all_other_auth_tokens(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (bob, this) = (app.user("bob").await, app.user("ada").await);
    let other = app.token("ada").await;
    let named = app.post("/auth-tokens/", &this, json!({ "name": "server" })).await;
    let named = named.json()["token"].as_str().unwrap().to_owned();
    let answer = app.post("/password", &this, change(PASSWORD, NEW)).await;
    answer.assert(200, r#"{"message":"Password changed"}"#);
    assert_eq!((app.balance(&this).await, app.balance(&bob).await), (4000, 4000));
    for token in [other, named] {
        app.get("/balance/", &token).await.assert_error(401, "Unauthorized");
    }
    app.log_in("ada", PASSWORD).await.assert_error(400, "Invalid password");
    app.log_in("ada", NEW).await.assert_status(200);
    app.log_in("bob", PASSWORD).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_change_needs_the_old_password_and_a_valid_new_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("lovelace.1815").await;
    let other = app.token("lovelace.1815").await;
    for (body, error) in [
        (change("wrong", NEW), "Invalid old_password"),
        (change("", NEW), "Invalid old_password"),
        (change(NEW, NEW), "Invalid old_password"),
        (change(&"x".repeat(1025), NEW), "Invalid old_password"),
        (json!({ "new_password": NEW }), "Invalid old_password"),
        (json!({ "old_password": PASSWORD }), "Invalid new_password"),
        (change(PASSWORD, "short"), "Invalid new_password"),
        (change(PASSWORD, "password1"), "Invalid new_password"),
        (change(PASSWORD, "Lovelace.1815"), "Invalid new_password"),
        (change(PASSWORD, &"x".repeat(1025)), "Invalid new_password"),
        (change(PASSWORD, "with\0nul-inside"), "Invalid body"),
        (json!({ "old_password": PASSWORD, "new_password": 12345678 }), "Invalid body"),
        (json!({ "old_password": [PASSWORD], "new_password": NEW }), "Invalid body"),
    ] {
        let answer = app.post("/password/", &token, body.clone()).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{body}");
    }
    assert_eq!(app.balance(&other).await, 4000, "a refused change revokes nothing");
    app.log_in("lovelace.1815", PASSWORD).await.assert_status(200);
}

/// Otherwise somebody with a stolen auth token could guess the password without limit.
#[rstest]
#[actix_web::test]
async fn wrong_old_passwords_are_throttled_like_logins(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on"]).await else { return };
    let token = app.user("ada").await;
    // A successful log-in returns its attempt, so five are left for this account.
    for _ in 0..5 {
        let answer = app.post("/password/", &token, change("wrong", NEW)).await;
        answer.assert_error(400, "Invalid old_password");
    }
    let answer = app.post("/password/", &token, change(PASSWORD, NEW)).await;
    answer.assert_error(429, "Too many requests");
    assert!(answer.header("retry-after").is_some());
}
