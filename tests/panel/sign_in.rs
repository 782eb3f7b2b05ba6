//! Signing in to the panel.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

#[rstest]
#[actix_web::test]
async fn signing_in_leads_to_the_page_that_was_requested(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let browser = Browser::guest(&app);
    let wanted = browser.get("/admin/users/?q=ada&sort=-joined").await;
    let sign_in = browser.follow(&wanted).await;
    let form = sign_in.form().with(&[("username", "ROOT"), ("password", PASSWORD)]);
    assert_eq!(form.field("next"), Some("/admin/users/?q=ada&sort=-joined"));
    let there = browser.send(&form).await;
    assert_eq!(there.location(), "/admin/users/?q=ada&sort=-joined");
    browser.follow(&there).await.assert_status(200).assert_shows(&["root", "Sign out"]);
}

#[rstest]
#[actix_web::test]
async fn the_redirect_after_signing_in_never_leaves_the_panel(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    for next in [
        "https://evil.example/admin/",
        "//evil.example/admin/",
        "/\\evil.example",
        "/admin/../chats/",
        "/admin/%2e%2e/%2e%2e/",
        "/admin/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/chat/",
        "",
    ] {
        let browser = Browser::guest(&app);
        let query: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let page = browser.get(&format!("/admin/sign-in/?next={query}")).await;
        assert_eq!(page.form().field("next"), Some("/admin/"), "{next:?}");
        let form = page.form().with(&[("username", "root"), ("password", PASSWORD), ("next", next)]);
        assert_eq!(browser.send(&form).await.location(), "/admin/", "{next:?}");
    }
}

#[rstest]
#[actix_web::test]
async fn every_failed_sign_in_gets_the_same_page(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    app.superuser("idle").await;
    app.user("ada").await;
    app.sql("UPDATE users SET is_active = FALSE WHERE username = 'idle'");
    app.sql("DELETE FROM sessions");
    let mut answers = Vec::new();
    for (name, password) in [
        ("nobody", PASSWORD),
        ("root", "not the password"),
        ("root", ""),
        ("ada", PASSWORD),
        ("ada", "not the password"),
        ("idle", PASSWORD),
        ("", ""),
        ("x\u{1}y", PASSWORD),
    ] {
        let page = Browser::guest(&app).sign_in_with(name, password).await;
        page.assert_status(403).assert_shows(&["The name or the password is wrong"]);
        assert_eq!(page.form().field("username"), Some(name), "the input is kept");
        assert!(!page.html().contains(PASSWORD));
        let csrf = page.form().field("csrf").unwrap().to_owned();
        let shown = page.html().replace(&csrf, "").replace(&format!("value=\"{name}\""), "value=\"\"");
        answers.push(shown.replace(" autofocus", ""));
    }
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(app.count("sessions"), 0);
}

#[rstest]
#[actix_web::test]
async fn too_many_wrong_sign_ins_of_one_name_from_one_address_must_wait(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on"]).await else { return };
    app.register("root").await.assert_status(201);
    app.sql("UPDATE users SET is_superuser = TRUE");
    let browser = Browser::guest(&app);
    for _ in 0..3 {
        browser.sign_in_with("root", "a guess").await.assert_status(403);
    }
    let page = browser.sign_in("root").await;
    page.assert_status(429).assert_shows(&["Too many attempts from here", "try again"]);
    let wait: u64 = page.answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(app.count("sessions"), 0);
    // A colleague behind the same address is not affected, and neither is another address.
    app.register("colleague").await.assert_status(201);
    app.sql("UPDATE users SET is_staff = TRUE");
    Browser::guest(&app).sign_in("colleague").await.assert_status(303);
    let form = browser.get("/admin/sign-in/").await.form();
    let form = form.with(&[("username", "root"), ("password", PASSWORD)]);
    assert_eq!(browser.form_request(&form).from("192.0.2.7").send().await.status, 303);
}

#[rstest]
#[actix_web::test]
async fn right_sign_ins_are_not_throttled(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on"]).await else { return };
    app.register("root").await.assert_status(201);
    app.sql("UPDATE users SET is_superuser = TRUE");
    for _ in 0..7 {
        Browser::guest(&app).sign_in("root").await.assert_status(303);
        app.log_in("root", PASSWORD).await.assert_status(200);
    }
    assert_eq!(app.count("sessions"), 7);
}

#[rstest]
#[actix_web::test]
async fn a_sign_in_is_in_the_history_with_its_address(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    assert_eq!(app.count("audit_log WHERE action = 'sign_in' AND address = '127.0.0.1'"), 1);
    assert_eq!(app.count("users WHERE last_login IS NOT NULL"), 1);
    let home = root.get("/admin/").await;
    root.click(&home, "The whole history").await.assert_shows(&["signed in", "127.0.0.1"]);
    Browser::guest(&app).sign_in_with("root", "a guess").await.assert_status(403);
    assert_eq!(app.count("audit_log WHERE action = 'sign_in'"), 1);
}
