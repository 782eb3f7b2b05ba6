//! The security headers of the panel's responses, and secrets that must not be in the log.

use rstest::rstest;
use serde_json::json;

use super::route_table;
use super::world::furnish;
use crate::support::app::TestApp;
use crate::support::html::{Form, forms};
use crate::support::http::{Answer, Client};
use crate::support::ledger::raw;
use crate::support::panel::{Browser, encoded};
use crate::support::server::{PASSWORD, Server};
use crate::support::{On, TestDatabase};

#[track_caller]
fn assert_guarded(answer: &Answer, what: &str) {
    let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{what} has no {name}"));
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{what}: {policy}");
    assert!(!policy.contains('*') && !policy.contains("http"), "{what}: {policy}");
    // Redirects have no content.
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
        for part in ["form-action 'self'", "base-uri 'none'", "script-src 'self'", "style-src 'self'"] {
            assert!(policy.contains(part), "{what}: {policy} lacks {part}");
        }
    }
    assert_eq!(header("cache-control"), "no-store", "{what}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("x-frame-options"), "DENY", "{what}");
    assert!(["same-origin", "no-referrer"].contains(&header("referrer-policy")), "{what}");
}

#[rstest]
#[actix_web::test]
async fn every_page_loads_only_from_the_panel_and_is_never_cached(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let (staff, guest) = (app.staff("grace").await, Browser::guest(&app));
    for path in route_table::gets(&world) {
        for browser in [&root, &staff] {
            assert_guarded(&browser.get(&path).await.answer, &path);
        }
        // The redirect to the sign-in page has no content and no content type.
        let redirect = guest.get(&path).await.answer;
        assert_eq!(redirect.header("cache-control"), Some("no-store"), "{path}");
    }
    for path in [
        "/admin/sign-in/",
        "/admin/nowhere/",
        "/admin/users/99999/",
        "/admin/users/?q=a&q=b",
        "/admin/verify/",
    ] {
        assert_guarded(&root.get(path).await.answer, path);
    }
    assert_guarded(&guest.get("/admin/sign-in/").await.answer, "/admin/sign-in/");
    for path in route_table::posts(&world) {
        let form = Form { action: path.clone(), ..Form::default() };
        assert_guarded(&root.send(&form).await.answer, &path);
    }
    let made = root.submit("/admin/auth-tokens/add/", &[("user", "ada"), ("name", "x")]).await;
    assert_guarded(made.assert_status(201).answer.assert_status(201), "the page with an auth token");
}

#[rstest]
#[actix_web::test]
async fn a_repeated_parameter_gets_a_page_as_response(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let adjust = format!("/admin/users/{}/adjust/", world.user);
    for path in
        ["/admin/search/?q=a&q=b", "/admin/sign-in/?next=a&next=b", &format!("{adjust}?amount=1&amount=2")]
    {
        let page = Browser::guest(&app).get(path).await;
        let page = if page.status() == 303 { root.get(path).await } else { page };
        let kind = page.answer.header("content-type").unwrap_or_default().to_owned();
        assert!(page.status() < 500 && kind.starts_with("text/html"), "{path}: {} {kind}", page.status());
    }
}

/// Sends a request with a cookie, if it is not empty.
fn send(client: &mut Client, method: &str, path: &str, cookie: &str, body: &str) -> Answer {
    let origin = format!("http://{}", client.address());
    let mut headers =
        vec![("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    if !cookie.is_empty() {
        headers.push(("Cookie", cookie));
    }
    client.send(method, path, &headers, body.as_bytes()).unwrap()
}

/// Returns the cookie that a response sets.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[rstest]
fn the_log_contains_none_of_the_panels_secrets(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &["--log", "debug"]);
    server.register("root");
    let mut conn = raw(on, database.url());
    diesel::connection::SimpleConnection::batch_execute(
        &mut conn,
        "UPDATE users SET is_staff = TRUE, is_superuser = TRUE",
    )
    .unwrap();
    let mut client = server.client();
    let page = send(&mut client, "GET", "/admin/sign-in/?next=/admin/users/", "", "");
    let guest = cookie(&page);
    let form = forms(&page.text()).pop().unwrap().with(&[("username", "root"), ("password", PASSWORD)]);
    let signed_in = send(&mut client, "POST", "/admin/sign-in/", &guest, &encoded(&form.fields));
    assert_eq!(signed_in.status, 303, "{}", signed_in.text());
    let session = cookie(&signed_in);
    let page = send(&mut client, "GET", "/admin/auth-tokens/add/", &session, "");
    let form = forms(&page.text()).into_iter().find(|form| form.field("days").is_some()).unwrap();
    let csrf = form.field("csrf").unwrap().to_owned();
    let form = form.with(&[("user", "root"), ("name", "for the log"), ("own_password", PASSWORD)]);
    let made = send(&mut client, "POST", "/admin/auth-tokens/add/", &session, &encoded(&form.fields));
    assert_eq!(made.status, 201, "{}", made.text());
    let text = made.text();
    let plain: String = text[text.find("tg_").unwrap()..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
        .collect();
    assert_eq!(client.get("/tokens/", &plain).unwrap().status, 200);
    send(&mut client, "GET", &format!("/admin/users/?q={plain}&x={csrf}"), &session, "");
    send(&mut client, "GET", &format!("/admin/{plain}/"), &session, "");
    let refused =
        send(&mut client, "POST", "/admin/sign-in/", &guest, &format!("csrf=wrong&password={PASSWORD}"));
    assert_eq!(refused.status, 403);
    let _ = client.post("/login/", None, &json!({ "username": "root", "password": PASSWORD }));
    let log = server.log();
    assert!(log.contains("POST /admin/sign-in/ 303"), "{log}");
    let secret = |pair: &str| pair.split_once('=').unwrap().1.to_owned();
    for secret in
        [secret(&guest), secret(&session), csrf, plain, PASSWORD.to_owned(), "for the log".to_owned()]
    {
        assert!(!log.contains(&secret), "the log contains {secret}: {log}");
    }
}
