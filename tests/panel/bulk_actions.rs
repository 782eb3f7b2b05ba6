//! The kinds of bulk operations: each does what the action on one row does, its preview says what
//! it will do, and none locks an administrator out.

use rstest::rstest;
use tollgate::administration::finish_all;

use super::forgery::books;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::ledger::{lines, raw};
use crate::support::panel::{Browser, Page};

/// Ticks a row of a list, chooses an action, confirms it, and lets the worker do it. Returns the
/// page of the result.
pub async fn in_bulk(
    app: &TestApp,
    root: &Browser<'_>,
    (list, action, id): (&str, &str, i64),
    fields: &[(&str, &str)],
) -> Page {
    let chosen = root.get(list).await.form().tick("id", id).with(&[("action", action)]);
    let page = root.send(&chosen).await;
    page.assert_status(200);
    let mut done = root.send(&page.form().with(fields)).await;
    if done.status() == 200 {
        done = root.send(&done.form()).await;
    }
    finish_all(&app.services.db).await.unwrap();
    root.follow(&done).await
}

/// Returns all that the database says about a user, without ids and times.
fn trace(app: &TestApp, on: On, user: i64) -> Vec<String> {
    let mut conn = raw(on, app.database().url());
    let mut found = Vec::new();
    for query in [
        "SELECT action || ' ' || object_kind || ' ' || changes || ' ' || note || ' ' || CAST(actor_id AS TEXT)
                || ' ' || address AS line FROM audit_log WHERE user_id = {} ORDER BY id",
        "SELECT kind || ' ' || CAST(amount AS TEXT) || ' ' || CAST(balance_after AS TEXT) || ' ' || note || ' '
                || coalesce(CAST(actor_id AS TEXT), '-') AS line FROM ledger_entries WHERE user_id = {} ORDER BY id",
        "SELECT CAST(tokens AS TEXT) || CASE WHEN is_active THEN ' active' ELSE ' inactive' END
                || coalesce(CAST(concurrent_chats AS TEXT), ' default') || ' version ' || CAST(version AS TEXT)
                AS line FROM users WHERE id = {}",
        "SELECT state || ' ' || coalesce(failure, '-') AS line FROM chats WHERE user_id = {} ORDER BY id",
        "SELECT CASE WHEN revoked_at IS NULL THEN 'live' ELSE 'ended' END AS line FROM auth_tokens
         WHERE user_id = {} ORDER BY id",
    ] {
        found.extend(lines(&mut conn, &query.replace("{}", &user.to_string())));
    }
    // The time of a revocation is that of its own.
    found.iter().map(|line| line.split("\"field\":\"revoked\"").next().unwrap().to_owned()).collect()
}

#[rstest]
#[actix_web::test]
async fn in_bulk_each_action_does_what_it_does_alone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let mut twins = Vec::new();
    for name in ["one", "two"] {
        let token = app.user(name).await;
        app.chat(&token, "Hello").await.assert_status(201);
        let chat = app.number("SELECT max(id) AS value FROM chats");
        twins.push((app.id_of(name), chat, app.hold(&token).await));
    }
    app.catch_up().await;
    let (one, two) = (twins[0], twins[1]);
    let token_of =
        |user: i64| app.number(&format!("SELECT max(id) AS value FROM auth_tokens WHERE user_id = {user}"));
    let (users, chats, holds) = ("/admin/users/", "/admin/chats/", "/admin/holds/");
    let why = ("reason", "a test");
    for (path, list, action, id, fields) in [
        (format!("/admin/users/{}/adjust/", one.0), users, "adjust", two.0, vec![("amount", "-7"), why]),
        (format!("/admin/chats/{}/refund/", one.1), chats, "refund", two.1, vec![why]),
        (format!("/admin/chats/{}/release/", one.2), holds, "release", two.2, vec![why]),
        (format!("/admin/users/{}/log-out/", one.0), users, "log-out", two.0, vec![why]),
        (format!("/admin/users/{}/deactivate/", one.0), users, "deactivate", two.0, vec![why]),
        (format!("/admin/users/{}/reactivate/", one.0), users, "reactivate", two.0, vec![why]),
    ] {
        root.submit(&path, &fields).await.assert_status(303);
        in_bulk(&app, &root, (list, action, id), &fields).await.assert_shows(&["Done."]);
        assert_eq!(trace(&app, on, one.0), trace(&app, on, two.0), "{action}");
    }
    // The forms of these have no reason for one row.
    for name in ["one", "two"] {
        app.token(name).await;
    }
    let token = token_of(one.0);
    root.submit(&format!("/admin/auth-tokens/{token}/revoke/"), &[]).await.assert_status(303);
    in_bulk(&app, &root, ("/admin/auth-tokens/", "revoke", token_of(two.0)), &[why]).await;
    root.submit(&format!("/admin/users/{}/limits/", one.0), &[("concurrent_chats", "3")])
        .await
        .assert_status(303);
    in_bulk(&app, &root, (users, "limits", two.0), &[("concurrent_chats", "3"), why]).await;
    app.sql("UPDATE audit_log SET note = '' WHERE action IN ('revoke', 'change')");
    assert_eq!(trace(&app, on, one.0), trace(&app, on, two.0));
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_preview_says_what_will_happen_and_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for number in 0..6 {
        let token = app.user(&format!("user-{number}")).await;
        if number % 2 == 0 {
            app.chat(&token, "Hello").await.assert_status(201);
        }
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    let before = books(&app);
    // The amount beside the action leads to the preview at once.
    let list = root.get("/admin/users/?q=user&sort=name").await.form();
    let preview = root.send(&list.with(&[("all", "1"), ("amount", "-4,000")])).await;
    preview.assert_status(200).assert_shows(&[
        "6 users, −4,000 tokens each: −24,000 tokens in total.",
        "3 have fewer than 4,000 tokens and will be skipped.",
        "3 will be adjusted: −12,000 tokens.",
        "The first 5 users",
        "user-0 3,900 skipped: the balance would go below 0",
        "user-1 4,000 0",
    ]);
    preview.assert_hides(&["user-5"]);
    assert_eq!(books(&app), before);
    // Another amount has to be previewed, too.
    let other = root.send(&preview.form().with(&[("amount", "-3900"), ("reason", "the end")])).await;
    other.assert_status(200).assert_shows(&["6 users, −3,900 tokens each: −23,400 tokens in total."]);
    assert_eq!(books(&app), before);
    let done = root.confirm(&other.form().with(&[("amount", "-4000")])).await;
    finish_all(&app.services.db).await.unwrap();
    let result = root.follow(&done).await;
    result.assert_shows(&["3 of 6 done.", "3 have fewer than 4,000 tokens and were skipped."]);
    assert_eq!(app.number("SELECT sum(amount) AS value FROM ledger_entries WHERE note = 'the end'"), -12_000);
    // Refunds differ in their amounts.
    let chats = root.get("/admin/chats/").await.form().with(&[("all", "1"), ("action", "refund")]);
    let preview = root.send(&chats).await;
    preview.assert_shows(&["3 chats: +300 tokens in total.", "Refund all"]).assert_hides(&["be skipped"]);
    root.send(&preview.form().with(&[("reason", "sorry")])).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    let again = root.send(&chats).await;
    again.assert_shows(&["3 chats: 0 tokens in total.", "3 are already refunded", "None will be refunded."]);
    assert_eq!(app.number("SELECT sum(amount) AS value FROM ledger_entries WHERE note = 'sorry'"), 300);
    // A row that is as it should be needs nobody's attention.
    let done = root.send(&again.form().with(&[("reason", "sorry")])).await;
    finish_all(&app.services.db).await.unwrap();
    root.follow(&done).await.assert_shows(&["0 of 3 done.", "3 are already refunded and were skipped."]);
    let home = root.get("/admin/").await;
    home.assert_shows(&["3 rows failed in bulk operation 1"]).assert_hides(&["failed in bulk operation 3"]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn no_administrator_is_locked_out_in_bulk(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let boss = app.superuser("boss").await;
    app.catch_up().await;
    for (action, skipped) in [("log-out", "2 of 3 done."), ("deactivate", "2 of 3 done.")] {
        let all = root.get("/admin/users/").await.form().with(&[("all", "1"), ("action", action)]);
        let preview = root.send(&all).await;
        preview.assert_shows(&["3 users.", "1 is the account of the administrator and will be skipped."]);
        let done = root.send(&preview.form().with(&[("reason", "a test")])).await;
        finish_all(&app.services.db).await.unwrap();
        let result = root.follow(&done).await;
        result.assert_shows(&[skipped, "root this is your own account"]);
        boss.get("/admin/").await.assert_status(303);
    }
    assert_eq!(app.count("users WHERE is_active"), 1);
    let preview = root.get("/admin/users/").await.form().tick("id", app.id_of("ada"));
    let preview = root.send(&preview.with(&[("action", "deactivate")])).await;
    preview.assert_shows(&["1 is already inactive and will be skipped.", "None will be deactivated."]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn limits_that_are_left_empty_stay(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for name in ["ada", "bob"] {
        app.register(name).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    app.sql("UPDATE users SET concurrent_chats = 9, requests_per_minute = 8 WHERE username = 'ada'");
    let chosen = ["ada", "bob"]
        .into_iter()
        .fold(root.get("/admin/users/").await.form(), |form, name| form.tick("id", app.id_of(name)));
    let form = root.send(&chosen.with(&[("action", "limits")])).await.form();
    for (limit, fault) in [("", "Enter at least one limit"), ("many", "Enter a whole number from 0")] {
        let page = root.send(&form.clone().with(&[("concurrent_chats", limit), ("reason", "x")])).await;
        page.assert_status(400).assert_shows(&[fault]);
    }
    let form = form.with(&[("concurrent_chats", "Default"), ("reason", "a test")]);
    let preview = root.send(&form).await;
    preview.assert_status(200).assert_shows(&[
        "1 already has these limits and will be skipped.",
        "ada 9 chats at once, 8 requests a minute default chats at once, 8 requests a minute",
    ]);
    let done = root.send(&preview.form()).await;
    finish_all(&app.services.db).await.unwrap();
    let result = root.follow(&done).await;
    result.assert_shows(&["1 of 2 done.", "Chats at once default"]);
    assert_eq!(app.count("users WHERE concurrent_chats IS NULL AND requests_per_minute = 8"), 1);
    // Undoing returns to what was there before, unless somebody has set other limits since.
    let undo = root.click(&result, "Undo…").await;
    undo.assert_shows(&["1 user.", "The user"]);
    let undone = root.send(&undo.form()).await;
    finish_all(&app.services.db).await.unwrap();
    root.follow(&undone).await.assert_shows(&["Done.", "Undoes bulk operation 1"]);
    assert_eq!(app.count("users WHERE concurrent_chats = 9 AND requests_per_minute = 8"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn all_chats_that_a_search_finds_can_be_refunded(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for message in ["a pelican", "a heron", "two pelicans and a pelican"] {
        app.chat(&token, message).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    let list = root.get("/admin/chats/?q=pelican").await.form();
    let preview = root.send(&list.with(&[("all", "1")])).await;
    preview.assert_shows(&["2 chats: +200 tokens in total.", "2 chats: search pelican"]);
    root.send(&preview.form().with(&[("reason", "sorry")])).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    assert_eq!(app.balance(&token).await, 3900);
    app.assert_sound();
}
