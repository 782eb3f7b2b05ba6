//! Somebody who finds a signed-in browser can neither gain lasting access nor lock its owner out:
//! both require the owner's password.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::Form;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

const NEW: &str = "another fine phrase 8";
const NEW_TWICE: [(&str, &str); 2] = [("password", NEW), ("again", NEW)];

#[rstest]
#[actix_web::test]
async fn ones_own_password_is_never_changed_without_the_old_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let second = Browser::signed_in(&app, "root").await;
    let path = format!("/admin/users/{}/password", app.id_of("root"));
    for path in [path.clone(), format!("{path}/")] {
        let page = root.get(&path).await;
        assert_eq!((page.status(), page.location()), (303, "/admin/password/"));
        for fields in [&NEW_TWICE[..], &[("unusable", "1")]] {
            let form = root.bare_form(&path).await.with(fields);
            let sent = root.send(&form).await;
            assert_eq!((sent.status(), sent.location()), (303, "/admin/password/"));
            root.follow(&sent).await.assert_shows(&["Nothing was changed", "Current password"]);
        }
    }
    for old in ["", "wrong", NEW] {
        let fields = [NEW_TWICE[0], NEW_TWICE[1], ("old_password", old)];
        root.submit("/admin/password/", &fields).await.assert_status(400);
    }
    app.log_in("root", PASSWORD).await.assert_status(200);
    app.log_in("root", NEW).await.assert_error(400, "Invalid password");
    second.get("/admin/").await.assert_status(200);
    assert_eq!(app.count("audit_log WHERE action = 'set_password'"), 0);
}

#[rstest]
#[actix_web::test]
async fn changing_ones_own_password_keeps_only_this_session_with_a_new_secret(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let second = Browser::signed_in(&app, "root").await;
    let (token, before) = (app.token("root").await, root.cookie());
    let fields = [NEW_TWICE[0], NEW_TWICE[1], ("old_password", PASSWORD)];
    let page = root.submit_and_follow("/admin/password/", &fields).await;
    page.assert_status(200).assert_shows(&["Password changed", "You are not signed in anywhere else"]);
    assert_ne!(root.cookie(), before);
    // Forms of the session still work.
    root.submit("/admin/settings/", &[("page_size", "10")]).await.assert_status(303);
    second.get("/admin/").await.assert_status(303);
    let thief = Browser::guest(&app);
    thief.set_cookie(before);
    thief.get("/admin/").await.assert_status(303);
    app.get("/balance/", &token).await.assert_error(401, "Unauthorized");
    app.log_in("root", PASSWORD).await.assert_error(400, "Invalid password");
    let (id, history) = (app.id_of("root"), "audit_log WHERE action = 'set_password'");
    assert_eq!(
        app.count(&format!("{history} AND actor_id = {id} AND user_id = {id} AND address = '127.0.0.1'")),
        1
    );
}

/// Forms that would give lasting access to the panel, complete except for the own password.
async fn ways_to_stay(app: &TestApp, root: &Browser<'_>) -> Vec<Form> {
    let user = |name: &str| format!("/admin/users/{}", app.id_of(name));
    let new = [("username", "accomplice"), ("tokens", "0")];
    let token = |user: &'static str| [("user", user), ("name", "for later")];
    let add = root.get("/admin/users/add/").await.form().with(&NEW_TWICE).with(&new);
    let make = root.get("/admin/auth-tokens/add/").await.form();
    vec![
        root.get(&format!("{}/password/", user("boss"))).await.form().with(&NEW_TWICE),
        root.get(&format!("{}/password/", user("grace"))).await.form().with(&[("unusable", "1")]),
        root.get(&format!("{}/edit/", user("ada"))).await.form().with(&[("staff", "1")]),
        root.get(&format!("{}/edit/", user("ada"))).await.form().with(&[("superuser", "1")]),
        root.get(&format!("{}/edit/", user("grace"))).await.form().with(&[("superuser", "1")]),
        add.clone().with(&[("staff", "1")]),
        add.with(&[("superuser", "1")]),
        make.clone().with(&token("root")),
        make.clone().with(&token("boss")),
        make.with(&token("grace")),
    ]
}

#[rstest]
#[actix_web::test]
async fn lasting_access_to_the_panel_requires_ones_own_password(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let (root, _, _) = (app.superuser("root").await, app.superuser("boss").await, app.staff("grace").await);
    let before = (app.count("audit_log"), app.count("users"), app.count("auth_tokens"));
    for form in ways_to_stay(&app, &root).await {
        for given in ["", "wrong", NEW] {
            let page = root.send(&form.clone().with(&[("own_password", given)])).await;
            page.assert_status(400).assert_shows(&["own password"]);
            page.assert_hides(&[NEW]);
        }
    }
    assert_eq!((app.count("audit_log"), app.count("users"), app.count("auth_tokens")), before);
    // Send each of them with the password. Those that an earlier one made pointless are opened
    // again.
    for number in 0..ways_to_stay(&app, &root).await.len() {
        let form = ways_to_stay(&app, &root).await.remove(number).with(&[("own_password", PASSWORD)]);
        let form = if number == 6 { form.with(&[("username", "another")]) } else { form };
        let page = root.send(&form).await;
        assert!([201, 303].contains(&page.status()), "{}: {} {}", form.action, page.status(), page.text());
    }
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn changes_to_a_user_without_rights_need_no_password(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}", app.id_of("ada"));
    root.submit(&format!("{user}/password/"), &NEW_TWICE).await.assert_status(303);
    root.submit(&format!("{user}/edit/"), &[("username", "ada2")]).await.assert_status(303);
    root.submit("/admin/auth-tokens/add/", &[("user", "ada2"), ("name", "x")]).await.assert_status(201);
    app.log_in("ada2", NEW).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn users_changes_of_their_own_access_are_in_the_history(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, root) = (app.user("ada").await, app.superuser("root").await);
    let recorded = |action: &str, name: &str| {
        let id = app.id_of(name);
        let who = format!("actor_id = {id} AND user_id = {id} AND address = '127.0.0.1'");
        app.count(&format!("audit_log WHERE action = '{action}' AND {who}"))
    };
    let body = |old: &str| json!({ "old_password": old, "new_password": NEW });
    app.post("/password/", &ada, body("wrong")).await.assert_status(400);
    assert_eq!(recorded("set_password", "ada"), 0);
    app.post("/password/", &ada, body(PASSWORD)).await.assert_status(200);
    assert_eq!(recorded("set_password", "ada"), 1);
    app.post("/logout/", &ada, json!({})).await.assert_status(200);
    assert_eq!(recorded("log_out_everywhere", "ada"), 0);
    let again = app.log_in("ada", NEW).await.json()["token"].as_str().unwrap().to_owned();
    app.post("/logout/", &again, json!({ "everywhere": true })).await.assert_status(200);
    assert_eq!(recorded("log_out_everywhere", "ada"), 1);
    // Auth tokens of staff belong to an account with rights.
    for (name, expected) in [("root", 1), ("bob", 0)] {
        let token = if name == "root" { app.token(name).await } else { app.user(name).await };
        let made = app.post("/auth-tokens/", &token, json!({ "name": "script" })).await;
        let id = made.assert_status(201).json()["id"].as_i64().unwrap();
        app.delete(&format!("/auth-tokens/{id}/"), &token).await.assert_status(204);
        app.delete(&format!("/auth-tokens/{id}/"), &token).await.assert_status(404);
        assert_eq!((recorded("add", name), recorded("revoke", name)), (expected, expected), "{name}");
    }
    let id = app.id_of("ada");
    root.get(&format!("/admin/users/{id}/history/"))
        .await
        .assert_shows(&["ada set the password", "127.0.0.1"]);
}

#[rstest]
#[actix_web::test]
async fn nobody_can_revoke_another_users_auth_token(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, _) = (app.user("ada").await, app.superuser("root").await);
    let root = app.token("root").await;
    let id = app.number("SELECT min(id) AS value FROM auth_tokens");
    app.delete(&format!("/auth-tokens/{id}/"), &root).await.assert_status(404);
    assert_eq!(app.balance(&ada).await, 4000);
}

/// Somebody at a signed-in browser cannot guess the owner's password: guesses in all forms count
/// together, and with those at the sign-in.
#[rstest]
#[actix_web::test]
async fn guesses_of_ones_own_password_are_limited_like_log_ins(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on"]).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let edit = format!("/admin/users/{}/edit/", app.id_of("ada"));
    let staff = root.get(&edit).await.form().with(&[("staff", "1")]);
    let change = root.get("/admin/password/").await.form().with(&NEW_TWICE);
    let mut guesses = 0;
    let limited = loop {
        let with = |form: &Form, field| form.clone().with(&[(field, "a wrong guess")]);
        let form =
            if guesses % 2 == 0 { with(&staff, "own_password") } else { with(&change, "old_password") };
        let page = root.send(&form).await;
        if page.status() == 429 {
            break page;
        }
        page.assert_status(400);
        guesses += 1;
        assert!(guesses < 20, "guesses have no limit");
    };
    assert!(guesses <= 5, "{guesses} guesses were checked");
    assert!(limited.answer.header("retry-after").is_some());
    // Not even the right password is checked any more.
    root.send(&staff.with(&[("own_password", PASSWORD)])).await.assert_status(429);
    root.send(&change.with(&[("old_password", PASSWORD)])).await.assert_status(429);
    assert_eq!(app.count("users WHERE username = 'ada' AND is_staff"), 0);
    root.get("/admin/").await.assert_status(200);
}
