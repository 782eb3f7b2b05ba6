//! The reference at `/docs/`, as it is served.

use crate::support::On;
use crate::support::app::{GUEST, TestApp};
use crate::support::documented::DOCUMENT;
use crate::support::html::{copied, text};

#[actix_web::test]
async fn the_reference_shows_every_request_and_every_schema() {
    let flags = ["--public-url", "https://chat.example", "--site-title", "Our chats"];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let page = app.request("GET", "/docs/").header("Host", "chat.example").send().await;
    page.assert_status(200).assert_header("content-type", "text/html; charset=utf-8");
    let html = page.text();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(html.contains(&format!("<details class=\"operation\" id=\"{id}\">")), "{id}");
        }
        assert!(html.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for name in DOCUMENT["components"]["schemas"].as_object().unwrap().keys() {
        assert!(html.contains(&format!("<h3 id=\"schema-{name}\">{name}</h3>")), "{name}");
    }
    // What stands for the values of a server is replaced.
    assert!(!html.contains("127.0.0.1:8000") && !html.contains("a-model-on-offer"), "{html}");
    let shown = text(&html);
    for line in copied(&html) {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&words), "{words:?} is copied, but not shown");
    }
}

#[actix_web::test]
async fn links_of_the_reference_lead_to_its_parts() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let html = app.get("/docs", GUEST).await.text();
    let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), ids.len(), "an id is there twice");
    let links = html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for link in links {
        assert!(ids.contains(&link), "#{link} leads nowhere");
        count += 1;
    }
    assert!(count > 50, "only {count} links are checked");
    for path in ["/docs/api/", "/docs/charges/", "/docs/clients/"] {
        assert!(html.contains(&format!("href=\"{path}\"")), "{path}");
        let document = app.get(path, GUEST).await;
        document.assert_status(200);
        assert!(document.text().contains("href=\"/docs/\""), "{path} does not lead back");
    }
}

/// The page sends requests to its own server, and loads nothing from elsewhere.
#[actix_web::test]
async fn the_reference_is_guarded_and_works_offline() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let page = app.get("/docs/", GUEST).await;
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert!(
        !app.get("/docs/api/", GUEST).await.header("content-security-policy").unwrap().contains("connect")
    );
    let html = page.text();
    let scripts: Vec<&str> =
        html.split("<script src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(scripts.len(), 2, "{scripts:?}");
    assert_eq!(html.matches("<script").count(), 2, "a script is inline");
    assert!(
        scripts[0].starts_with("/static/admin.") && scripts[1].starts_with("/static/docs."),
        "{scripts:?}"
    );
    for script in scripts {
        app.get(script, GUEST).await.assert_status(200);
    }
    assert!(!html.contains("style=") && !html.contains("onclick"), "something is inline");
    for attribute in ["src=\"", "href=\""] {
        let targets = html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap());
        for target in targets {
            assert!(target.starts_with(['/', '#']), "{target} is elsewhere");
        }
    }
}

/// Without scripts, the forms to try a request are not shown.
#[actix_web::test]
async fn every_request_has_a_form_to_try_it_that_needs_scripts() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let html = app.get("/docs/", GUEST).await.text();
    let items = DOCUMENT["paths"].as_object().unwrap().values();
    let count: usize = items.map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(html.matches("<form class=\"try scripted\" hidden method=\"post\"").count(), count);
    assert_eq!(html.matches("<form").count(), count);
    // No field with the auth token is part of a form, or has a name by which a browser would store
    // it.
    let (_, field) = html.split_once("<input id=\"auth-token\"").unwrap();
    let field = field.split('>').next().unwrap();
    assert!(field.contains("autocomplete=\"off\"") && !field.contains("name="), "{field}");
    let before = html.split("id=\"auth-token\"").next().unwrap();
    assert_eq!(before.matches("<form").count(), before.matches("</form>").count(), "{field}");
}
