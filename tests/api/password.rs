//! `POST /password/`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{GUEST, TestApp};
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

#[rstest]
#[actix_web::test]
async fn a_password_is_the_same_on_every_keyboard(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (composed, decomposed) = ("cr\u{e8}me br\u{fb}l\u{e9}e", "cre\u{300}me bru\u{302}le\u{301}e");
    let body = json!({ "username": "ada", "password": decomposed });
    app.post("/register/", GUEST, body).await.assert_status(201);
    for text in [composed, decomposed] {
        app.log_in("ada", text).await.assert_status(200);
    }
    app.log_in("ada", "creme brulee").await.assert_error(400, "Invalid password");
    // A hash of the text as it was received, which an older version or Django has stored, is
    // replaced at the next log-in.
    let old = bcrypt_of(decomposed);
    app.sql(&format!("UPDATE users SET password = '{old}'"));
    app.log_in("ada", composed).await.assert_status(200);
    assert_ne!(app.text("SELECT password AS value FROM users").unwrap(), old);
    let token = app.log_in("ada", decomposed).await.json()["token"].as_str().unwrap().to_owned();
    app.post("/password/", &token, change(composed, "na\u{ef}vet\u{e9}!")).await.assert_status(200);
    app.log_in("ada", "nai\u{308}vete\u{301}!").await.assert_status(200);
    // The rules count characters, however they are written.
    let short = change("na\u{ef}vet\u{e9}!", &"e\u{301}".repeat(7));
    app.post("/password/", &token, short).await.assert_error(400, "Invalid new_password");
}

/// Returns a hash as older versions made it: of the text as it was received.
fn bcrypt_of(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bcrypt_sha256${}", bcrypt::hash(hex, 4).unwrap())
}
