//! The start page, and the files that it refers to.

use crate::support::On;
use crate::support::app::{GUEST, TestApp};

#[actix_web::test]
async fn the_start_page_says_how_to_begin_and_has_no_script() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--public-url", "https://chat.example"]).await else {
        return;
    };
    let page = app.request("GET", "/").header("Host", "chat.example").send().await;
    page.assert_status(200).assert_header("content-type", "text/html; charset=utf-8");
    let html = page.text();
    assert!(html.contains("curl https://chat.example/register/"), "{html}");
    assert!(!html.contains("<script") && !html.contains("style="), "{html}");
    let policy = page.header("content-security-policy").unwrap();
    for part in ["style-src 'self'", "base-uri 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    // The file that the page refers to exists, has its own type, and may be cached for a while.
    assert!(html.contains("href=\"/static/tollgate.css\""), "{html}");
    let file = app.get("/static/tollgate.css", GUEST).await;
    file.assert_status(200).assert_header("content-type", "text/css");
    file.assert_header("cache-control", "public, max-age=300");
}

/// The client sends the Host header, so it may contain anything.
#[actix_web::test]
async fn the_start_page_escapes_the_host() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let page = app.request("GET", "/").header("Host", "\"><img src=x>'").send().await;
    assert!(!page.text().contains("<img"), "{}", page.text());
}
