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
    // The file that the page refers to exists and has its own type.
    let address = stylesheet(&html);
    let file = app.get(&address, GUEST).await;
    file.assert_status(200).assert_header("content-type", "text/css");
}

/// Returns the address of the stylesheet of a page.
fn stylesheet(html: &str) -> String {
    let (_, rest) = html.split_once("rel=\"stylesheet\" href=\"").expect("a stylesheet");
    rest.split('"').next().unwrap().to_owned()
}

#[actix_web::test]
async fn browsers_keep_a_file_for_good_if_its_address_has_its_digest() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let address = stylesheet(&app.get("/", GUEST).await.text());
    assert_ne!(address, "/static/tollgate.css");
    let sheet = app.get(&address, GUEST).await;
    sheet.assert_header("cache-control", "public, max-age=31536000, immutable");
    // Files that the stylesheet names have digests, too.
    let text = sheet.text();
    let urls: Vec<&str> = text.split("url(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(urls.len() >= 2, "{urls:?}");
    for url in urls {
        let file = app.get(url, GUEST).await;
        file.assert_status(200).assert_header("content-type", "image/svg+xml");
        file.assert_header("cache-control", "public, max-age=31536000, immutable");
    }
    // The addresses of old pages still work.
    let plain = app.get("/static/tollgate.css", GUEST).await;
    plain.assert_status(200).assert_header("cache-control", "public, max-age=300");
    assert_eq!(plain.text(), text);
    // The contents are not those of the digest, so nothing may keep them.
    let other = app.get("/static/tollgate.0123456789ab.css", GUEST).await;
    other.assert_status(200).assert_header("cache-control", "no-cache");
    app.get("/static/tollgate.0123.css", GUEST).await.assert_error(404, "Not found");
}

#[actix_web::test]
async fn the_start_page_links_to_the_top_up_and_escapes_its_text() {
    let page = async |flags: &[&str]| {
        let app = TestApp::spawn_with(On::Sqlite, flags).await.unwrap();
        app.request("GET", "/").send().await.text()
    };
    assert!(!page(&[]).await.contains("top up"));
    let html = page(&["--top-up", "https://shop.example/?a=1&b=\"2"]).await;
    let address = "https://shop.example/?a=1&#38;b=&#34;2";
    assert!(html.contains(&format!("<a href=\"{address}\">{address}</a>")), "{html}");
    for text in ["javascript:alert(1)", "https://shop.example or <b>ask</b>"] {
        let html = page(&["--top-up", text]).await;
        assert!(html.contains("To top up a balance:"), "{html}");
        assert!(!html.contains("<a href=\"javascript") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("<a href=\"https://shop"), "{html}");
    }
}

/// The client sends the Host header, so it may contain anything.
#[actix_web::test]
async fn the_start_page_escapes_the_host() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let page = app.request("GET", "/").header("Host", "\"><img src=x>'").send().await;
    assert!(!page.text().contains("<img"), "{}", page.text());
}
