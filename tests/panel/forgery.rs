//! Forms that do not come from a page of the same session (CSRF).

use rstest::rstest;
use tollgate::domain::OperationId;

use super::route_table::posts;
use super::world::furnish;
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::html::Form;
use crate::support::panel::{Browser, HOST, ORIGIN, encoded};
use crate::support::server::PASSWORD;

/// Returns a form with all fields that any form of the panel has, so that only its origin is wrong.
fn complete_form(path: &str, user: i64) -> Form {
    let form = Form { action: path.to_owned(), ..Form::default() };
    form.with(&[
        ("operation", &OperationId::generate().to_text()),
        ("id", &user.to_string()),
        ("username", "root"),
        ("password", PASSWORD),
        ("again", PASSWORD),
        ("old_password", PASSWORD),
        ("amount", "5"),
        ("reason", "a forgery"),
        ("name", "ada"),
        ("user", "ada"),
        ("days", "1"),
        ("tokens", "5"),
        ("time_zone", "Europe/Berlin"),
        ("page_size", "10"),
        ("theme", "dark"),
        ("version", "0"),
        ("price", "usage"),
        ("base", "1"),
        ("prompt", "1"),
        ("answer", "1"),
        ("concurrent_chats", "1"),
    ])
}

/// Returns numbers that change if a form has any effect.
pub(super) fn books(app: &TestApp) -> Vec<i64> {
    [
        "SELECT count(*) AS value FROM users",
        "SELECT sum(version) + sum(tokens) AS value FROM users",
        "SELECT count(*) AS value FROM audit_log",
        "SELECT count(*) AS value FROM ledger_entries",
        "SELECT count(*) AS value FROM sessions",
        "SELECT count(*) AS value FROM auth_tokens WHERE revoked_at IS NULL",
        "SELECT count(*) AS value FROM bulk_operations",
        "SELECT count(*) AS value FROM verifications",
        "SELECT count(*) AS value FROM panel_settings",
        "SELECT coalesce(sum(version), 0) AS value FROM models",
        "SELECT count(*) AS value FROM chats WHERE state = 'pending'",
    ]
    .map(|query| app.number(query))
    .to_vec()
}

/// Sends a form with these headers instead of those that the browser would set.
async fn send(browser: &Browser<'_>, form: &Form, headers: &[(&str, &str)]) -> Answer {
    let mut request = browser.request("POST", &form.action);
    request = request.header("Content-Type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(encoded(&form.fields)).send().await
}

/// Headers that do not prove that a form comes from the panel.
const FOREIGN: [&[(&str, &str)]; 12] = [
    &[("Origin", "http://evil.example")],
    &[("Origin", "null")],
    &[("Origin", "http://localhost:8001")],
    &[("Origin", "https://localhost:8000")],
    &[("Origin", "http://localhost:8000.evil.example")],
    &[("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")],
    &[("Origin", "null"), ("Referer", "http://localhost:8000/admin/")],
    &[("Sec-Fetch-Site", "cross-site")],
    &[("Sec-Fetch-Site", "same-site")],
    &[("Sec-Fetch-Site", "cross-site"), ("Referer", "http://localhost:8000/admin/")],
    &[("Referer", "http://evil.example/http://localhost:8000/")],
    &[],
];

#[rstest]
#[actix_web::test]
async fn a_form_from_another_origin_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let csrf = root.csrf().await;
    let before = books(&app);
    for path in posts(&world) {
        let form = complete_form(&path, world.user).with(&[("csrf", &csrf)]);
        for headers in FOREIGN {
            let answer = send(&root, &form, headers).await;
            assert_eq!(answer.status, 403, "{path} with {headers:?}: {}", answer.text());
            assert!(answer.header("set-cookie").is_none(), "{path} with {headers:?} starts a session");
        }
    }
    assert_eq!(books(&app), before);
    root.get("/admin/").await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_form_without_the_token_of_its_own_session_changes_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    // The same account in another browser, a guest, and the session's own secret instead of its
    // token.
    let other = Browser::signed_in(&app, "root").await.csrf().await;
    let guest = Browser::guest(&app).csrf().await;
    let secret = root.cookie().unwrap().split_once('=').unwrap().1.to_owned();
    let before = books(&app);
    for path in posts(&world) {
        let form = complete_form(&path, world.user);
        let wrong = ["", "x", &other, &guest, &secret].map(|csrf| form.clone().with(&[("csrf", csrf)]));
        for form in wrong.into_iter().chain([form]) {
            let answer = send(&root, &form, &[("Origin", ORIGIN)]).await;
            // Signing in twice, or out of an earlier session, leads on to the next page.
            let leads_on = path.ends_with("/sign-in/")
                || path.contains("/first-run/")
                || (path.ends_with("/sign-out/") && form.field("csrf") == Some(other.as_str()));
            let expected = if leads_on { 303 } else { 403 };
            assert_eq!(answer.status, expected, "{path} with {:?}: {}", form.field("csrf"), answer.text());
            assert!(answer.header("set-cookie").is_none(), "{path} starts a session");
        }
    }
    assert_eq!(books(&app), before);
}

/// Shows that the forms above are rejected only because of their origin.
#[rstest]
#[actix_web::test]
async fn the_same_forms_from_the_panels_own_origin_are_accepted(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, _) = furnish(&app, "root").await;
    let here: [&[(&str, &str)]; 4] = [
        &[("Origin", ORIGIN)],
        &[("Origin", ORIGIN), ("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Referer", "http://localhost:8000/admin/users/")],
    ];
    for (number, path) in
        posts(&world).into_iter().enumerate().filter(|(_, path)| !path.contains("first-run"))
    {
        let browser = Browser::signed_in(&app, "root").await;
        let form = complete_form(&path, world.user).with(&[("csrf", &browser.csrf().await)]);
        let answer = send(&browser, &form, here[number % here.len()]).await;
        assert!(
            [200, 201, 303, 400, 409].contains(&answer.status),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

#[rstest]
#[actix_web::test]
async fn behind_a_proxy_the_origin_is_that_of_the_public_url(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--public-url", "https://chat.example"];
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    app.register("root").await.assert_status(201);
    app.sql("UPDATE users SET is_superuser = TRUE");
    let browser = Browser::at(&app, "https://chat.example");
    browser.sign_in("root").await.assert_status(303);
    let form = browser.bare_form("/admin/verify/").await;
    // The server's own address, and variants of the public one, are not accepted.
    for origin in [ORIGIN, "http://chat.example", "https://chat.example:8443", "https://chat.example."] {
        assert_eq!(send(&browser, &form, &[("Origin", origin)]).await.status, 403, "{origin}");
    }
    assert_eq!(send(&browser, &form, &[("Origin", "https://chat.example")]).await.status, 303);
}

#[rstest]
#[actix_web::test]
async fn only_a_form_body_of_limited_size_is_read(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let csrf = root.csrf().await;
    let before = books(&app);
    let long = format!("csrf={csrf}&x={}", "y".repeat(600 * 1024));
    let many = format!("csrf={csrf}{}", "&id=1".repeat(6_000));
    for (kind, body, status) in [
        ("text/plain", format!("csrf={csrf}"), 415),
        ("multipart/form-data; boundary=x", format!("csrf={csrf}"), 415),
        ("application/json", format!("{{\"csrf\":\"{csrf}\"}}"), 415),
        ("application/x-www-form-urlencoded", long, 413),
        ("application/x-www-form-urlencoded", many, 413),
        ("application/x-www-form-urlencoded", format!("csrf={csrf}&x=%00"), 400),
        // A CSRF token in the URL does not count.
        ("application/x-www-form-urlencoded", String::new(), 403),
    ] {
        let request = root.request("POST", &format!("/admin/verify/?csrf={csrf}")).header("Origin", ORIGIN);
        let answer = request.header("Content-Type", kind).body(body).send().await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.text());
        assert!(answer.text().contains("<h1>"), "the response to {kind} must be a page");
    }
    assert_eq!(books(&app), before);
    let api = app.request("POST", "/chat/").header("Host", HOST).header("Cookie", &root.cookie().unwrap());
    api.json(&serde_json::json!({ "message": "hi" })).send().await.assert_error(401, "Unauthorized");
}
