//! Error pages: inside the frame of the panel for administrators, and with the next step for those
//! who cannot sign in yet.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

/// Whether a page has the menu, the search and the administrator's name.
#[track_caller]
fn assert_framed(page: &Page, name: &str) {
    page.assert_shows(&[name, "Sign out", "Auth tokens", "Ledger", "To the panel's home page"]);
    let fields: Vec<String> = page.forms().iter().map(|form| form.action.clone()).collect();
    assert!(fields.iter().any(|action| action == "/admin/search/"), "{}: {fields:?}", page.path);
    page.answer.assert_header("cache-control", "no-store");
    page.answer.assert_header("content-type", "text/html; charset=utf-8");
}

#[rstest]
#[actix_web::test]
async fn an_error_page_stays_inside_the_frame(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let staff = app.staff("grace").await;
    let user = format!("/admin/users/{}", app.id_of("grace"));
    let adjust = format!("{user}/adjust/");
    let used = root.get(&adjust).await.form().with(&[("amount", "5"), ("reason", "a gift")]);
    root.send(&used).await.assert_status(303);
    let other = used.clone().with(&[("amount", "7")]);
    let long = used.clone().with(&[("reason", &"x".repeat(600_000))]);
    for (page, status, name) in [
        (root.get("/admin/nowhere/").await, 404, "root"),
        (root.get("/admin/users/99999/").await, 404, "root"),
        (root.get("/admin/verify/").await, 405, "root"),
        (root.get("/admin/sign-in/?next=a&next=b").await, 400, "root"),
        (staff.get(&adjust).await, 403, "grace"),
        (root.send(&other).await, 400, "root"),
        (root.send(&long).await, 413, "root"),
    ] {
        page.assert_status(status);
        assert_framed(&page, name);
    }
    let put = root.request("PUT", "/admin/users/").send().await;
    assert_eq!(put.status, 405);
    assert_framed(&Page { answer: put, path: "/admin/users/".to_owned() }, "root");
    // A guest gets the page without the frame.
    let page = Browser::guest(&app).get("/admin/nowhere/").await;
    page.assert_status(404).assert_shows(&["Not found"]);
    assert!(!page.text().contains("Sign out"));
}

#[rstest]
#[actix_web::test]
async fn an_error_of_the_database_leaves_the_frame_if_the_session_was_found(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.sql(match on {
        On::Sqlite => "ALTER TABLE verifications RENAME TO gone",
        On::Postgres => "ALTER TABLE verifications RENAME TO gone",
    });
    let page = root.get("/admin/").await;
    assert!(page.status() >= 500, "{}", page.status());
    assert_framed(&page, "root");
    // Without the table of sessions nobody can be found, and the page is still one of the panel.
    app.sql("ALTER TABLE sessions RENAME TO gone_too");
    let page = root.get("/admin/users/").await;
    assert!(page.status() >= 500, "{}", page.status());
    page.assert_hides(&["Sign out"]).assert_shows(&["To the panel's home page"]);
    app.sql("ALTER TABLE gone_too RENAME TO sessions");
    app.sql("ALTER TABLE gone RENAME TO verifications");
}

#[rstest]
#[actix_web::test]
async fn a_limit_is_told_inside_the_frame_to_administrators_only(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--throttle", "on", "--reads-per-minute", "5"];
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    let root = app.superuser("root").await;
    let limited = loop {
        let page = root.get("/admin/settings/").await;
        if page.status() != 200 {
            break page;
        }
    };
    limited.assert_status(429);
    assert_framed(&limited, "root");
    assert!(limited.answer.header("retry-after").is_some());
}

#[rstest]
#[actix_web::test]
async fn a_server_without_an_administrator_says_how_to_make_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let guest = Browser::guest(&app);
    let page = guest.get("/admin/").await;
    let page = guest.follow(&page).await;
    page.assert_shows(&["This server has no administrator yet", "Its log has a link", "first-run"]);
    page.assert_hides(&["Forgot your password"]);
    // A failed attempt says so, too.
    let page = guest.sign_in_with("root", PASSWORD).await;
    page.assert_status(403).assert_shows(&["This server has no administrator yet"]);
    app.superuser("root").await;
    let page = Browser::guest(&app).get("/admin/sign-in/").await;
    page.assert_shows(&["Forgot your password"]).assert_hides(&["no administrator yet"]);
}

#[rstest]
#[actix_web::test]
async fn a_used_first_run_link_leads_to_the_sign_in_page(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let link = || format!("/admin/first-run/{}/", app.services.auth.first_run.make_key().unwrap().expose());
    let (old, new) = (link(), link());
    let guest = Browser::guest(&app);
    let page = guest.get(&old).await;
    page.assert_status(404).assert_shows(&["This link does not work", "look for first-run"]);
    let account = [("username", "root"), ("password", PASSWORD), ("again", PASSWORD)];
    guest.send(&guest.get(&new).await.form().with(&account)).await.assert_status(303);
    let other = Browser::guest(&app);
    let page = other.get(&new).await;
    page.assert_status(404).assert_shows(&["This link has already been used", "Sign in"]);
    other.click(&page, "Sign in").await.assert_status(200).assert_shows(&["Username"]);
    page.assert_hides(&["Back to the list", "mistyped"]);
}
