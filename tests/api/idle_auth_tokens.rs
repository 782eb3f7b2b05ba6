//! `--auth-token-idle-days`: unused auth tokens made by logins are revoked.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::ledger::{self, charged};

/// Moves the creation and all uses of all auth tokens into the past.
fn age(app: &TestApp, on: On, minutes: i64) {
    let back = |column: &str| match on {
        On::Sqlite => format!("{column} = strftime('%Y-%m-%d %H:%M:%f', {column}, '-{minutes} minutes')"),
        On::Postgres => format!("{column} = {column} - interval '{minutes} minutes'"),
    };
    app.sql(&format!("UPDATE auth_tokens SET {}, {}", back("created_at"), back("last_used_at")));
}

const DAY: i64 = 24 * 60;

#[rstest]
#[actix_web::test]
async fn an_unused_login_token_is_revoked_and_any_other_stays(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--auth-token-idle-days", "3"]).await else { return };
    let auth = &app.services.auth;
    let (used, unused) = (app.user("ada").await, app.token("ada").await);
    let named = app.post("/auth-tokens/", &used, json!({ "name": "script" })).await.json();
    let named = named["token"].as_str().unwrap();
    auth.write_last_uses().await;
    age(&app, on, 2 * DAY);
    // A chat counts as a use.
    app.chat(&used, "hello").await.assert_status(201);
    auth.write_last_uses().await;
    age(&app, on, DAY - 1);
    assert_eq!(auth.end_idle_auth_tokens().await.unwrap(), 0, "the three days are not over");
    // A few more minutes are allowed, because uses are written with a delay.
    age(&app, on, 10);
    assert_eq!(auth.end_idle_auth_tokens().await.unwrap(), 1);
    app.get("/balance/", &unused).await.assert_error(401, "Unauthorized");
    app.chat(&unused, "hello").await.assert_error(401, "Unauthorized");
    let digest = tollgate::domain::TokenDigest::of(&used).unwrap();
    charged(app.services.db.write_set(ledger::charge(digest)).await.unwrap());
    for token in [used.as_str(), named] {
        assert_eq!(app.balance(token).await, 3800);
    }
    age(&app, on, 30 * DAY);
    assert_eq!(app.balance(&used).await, 3800);
    auth.write_last_uses().await;
    assert_eq!(auth.end_idle_auth_tokens().await.unwrap(), 0, "it was used a moment ago");
    age(&app, on, 4 * DAY);
    assert_eq!(auth.end_idle_auth_tokens().await.unwrap(), 1);
    assert_eq!(auth.end_idle_auth_tokens().await.unwrap(), 0, "it is revoked once");
    assert_eq!(app.balance(named).await, 3800, "named auth tokens are never revoked for being idle");
}

#[rstest]
#[actix_web::test]
async fn without_the_setting_no_auth_token_is_revoked(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    age(&app, on, 3650 * DAY);
    assert_eq!(app.services.auth.end_idle_auth_tokens().await.unwrap(), 0);
    assert_eq!(app.balance(&token).await, 4000);
}

/// Takes more than one read and more than one write. The ids have gaps.
#[rstest]
#[actix_web::test]
async fn many_idle_auth_tokens_are_revoked_in_batches(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--auth-token-idle-days", "1"]).await else { return };
    app.register("ada").await.assert_status(201);
    let digest = match on {
        On::Sqlite => "randomblob(32)",
        On::Postgres => "sha256(CAST(i AS TEXT)::bytea)",
    };
    app.sql(&format!(
        "INSERT INTO auth_tokens (id, user_id, digest, first_characters, name, created_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         SELECT 3 * i, 1, {digest}, 'tg_0123456', CASE WHEN i % 10 = 0 THEN 'named' END, '2026-01-01 00:00:00' FROM n"
    ));
    assert_eq!(app.services.auth.end_idle_auth_tokens().await.unwrap(), 4_500);
    assert_eq!(app.count("auth_tokens WHERE revoked_at IS NULL AND name = 'named'"), 500);
    assert_eq!(app.count("auth_tokens WHERE revoked_at IS NULL AND name IS NULL"), 0);
}

/// A use that could not be written must not make the auth token look unused later.
#[rstest]
#[actix_web::test]
async fn uses_that_cannot_be_written_are_kept_for_the_next_attempt(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.balance(&token).await;
    app.sql("ALTER TABLE auth_tokens RENAME TO elsewhere");
    app.services.auth.write_last_uses().await;
    app.sql("ALTER TABLE elsewhere RENAME TO auth_tokens");
    assert_eq!(app.count("auth_tokens WHERE last_used_at IS NOT NULL"), 0);
    app.services.auth.write_last_uses().await;
    assert_eq!(app.count("auth_tokens WHERE last_used_at IS NOT NULL"), 1);
}
