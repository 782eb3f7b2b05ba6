//! Headers that every response has.

use std::collections::HashSet;

use crate::support::app::{GUEST, TestApp};
use crate::support::server::{PASSWORD, Server};
use crate::support::{On, TestDatabase};

/// Requests of every kind: successful, rejected, unknown, malformed, a page, a file.
const REQUESTS: [(&str, &str, u16); 10] = [
    ("GET", "/balance/", 200),
    ("POST", "/chat/", 400),
    ("GET", "/tokens/x", 404),
    ("GET", "/nothing", 404),
    ("DELETE", "/chat/", 405),
    ("OPTIONS", "/chat/", 405),
    ("GET", "/chats/?limit=0", 400),
    ("GET", "/", 200),
    ("GET", "/static/tollgate.css", 200),
    ("GET", "/healthz", 200),
];

#[actix_web::test]
async fn every_response_has_the_security_headers() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for accept in ["*/*", "application/problem+json"] {
        for (method, path, status) in REQUESTS {
            let answer = app.request(method, path).bearer(&token).header("Accept", accept).send().await;
            answer.assert_status(status);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{name} of {method} {path}");
            }
            let policy = answer.header("content-security-policy").unwrap();
            for part in ["default-src", "object-src", "base-uri", "frame-ancestors"] {
                assert!(policy.contains(&format!("{part} 'none'")), "{part} of {path}: {policy}");
            }
            let cached = answer.header("cache-control");
            assert_eq!(cached == Some("no-store"), path != "/static/tollgate.css", "{path}: {cached:?}");
            for absent in ["strict-transport-security", "access-control-allow-origin", "set-cookie", "server"]
            {
                assert_eq!(answer.header(absent), None, "{path}");
            }
        }
    }
}

#[actix_web::test]
async fn every_response_has_its_own_request_id() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let mut ids = HashSet::new();
    for (method, path, _) in REQUESTS.repeat(5) {
        let answer = app.request(method, path).header("X-Request-Id", "mine").send().await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(ids.insert(id.clone()), "{id} twice");
    }
}

#[actix_web::test]
async fn hsts_is_sent_where_the_public_url_is_https() {
    let subdomains = Some("max-age=31536000; includeSubDomains");
    for (url, switch, expected) in [
        ("https://chat.example", "off", Some("max-age=31536000")),
        ("https://chat.example", "on", subdomains),
        ("http://chat.example", "off", None),
        ("http://chat.example", "on", None),
    ] {
        let flags = ["--public-url", url, "--hsts-include-subdomains", switch];
        let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
        for path in ["/", "/balance/", "/nothing"] {
            assert_eq!(
                app.get(path, GUEST).await.header("strict-transport-security"),
                expected,
                "{url} {switch} {path}"
            );
        }
    }
}

/// Over a socket, because the HTTP layer drops the body of a HEAD.
#[actix_web::test]
async fn head_is_get_without_the_body() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    crate::support::tls::set_up();
    let client = reqwest::Client::new();
    for (path, status) in
        [("/tokens/", 200), ("/me", 200), ("/chats/", 200), ("/", 200), ("/healthz", 200), ("/x", 404)]
    {
        let send = |method: reqwest::Method| {
            let url = format!("http://{}{path}", server.address());
            client.request(method, url).bearer_auth(&token).send()
        };
        let get = send(reqwest::Method::GET).await.unwrap();
        let head = send(reqwest::Method::HEAD).await.unwrap();
        assert_eq!((head.status().as_u16(), get.status().as_u16()), (status, status), "{path}");
        for name in ["content-type", "content-length", "content-security-policy", "cache-control"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{name} of {path}");
        }
        assert!(head.text().await.unwrap().is_empty() && !get.text().await.unwrap().is_empty(), "{path}");
    }
    let log = server.log();
    assert!(!log.contains(&token) && !log.contains(PASSWORD), "{log}");
}
