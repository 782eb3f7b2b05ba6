//! Errors that the contract does not mention also have the contract's form.

use rstest::rstest;
use tollgate::{api, pages};

use crate::support::On;
use crate::support::app::{GUEST, TestApp};

/// Returns every path except the start page and those below `/v1`, with the value of `Allow`.
/// `docs/api.md` lists the same methods, and `tests/docs/api.rs` compares.
fn paths() -> impl Iterator<Item = (String, String)> {
    let routes = api::ROUTES.iter().chain(pages::ROUTES);
    let served = routes.filter(|(path, _)| !path.is_empty() && !path.starts_with("/v1/"));
    served.map(|(path, methods)| {
        let names: Vec<&str> = methods.iter().map(|method| method.name).collect();
        (path.replace("{id}", "1").replace("{file}", "tollgate.css"), names.join(", "))
    })
}

/// Independent of the database, so this runs on only one.
#[actix_web::test]
async fn another_method_gets_405_and_the_allowed_methods() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for (path, allow) in paths() {
        for slash in ["", "/"] {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
                if allow.split(", ").any(|allowed| allowed == method) {
                    continue;
                }
                for token in [GUEST, &token] {
                    let request = app.request(method, &format!("{path}{slash}")).bearer(token);
                    let answer = request.send().await;
                    assert_eq!(answer.status, 405, "{method} {path}{slash}: {}", answer.text());
                    answer.assert_error(405, "Method not allowed").assert_header("allow", &allow);
                }
            }
        }
    }
    let start = app.request("POST", "/").send().await;
    start.assert_error(405, "Method not allowed").assert_header("allow", "GET, HEAD");
    assert_eq!(app.balance(&token).await, 4000);
}

#[actix_web::test]
async fn an_unknown_path_gets_404() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for path in [
        "/nothing",
        "/chat/1/",
        "/chat//",
        "//chat/",
        "/CHAT/",
        "/chats/1/2/",
        "/static/",
        "/static/../Cargo.toml",
        "/static//etc/passwd",
        "/index.html",
        "/%ff",
        "/%00",
    ] {
        for method in ["GET", "POST", "DELETE", "HEAD"] {
            let answer = app.request(method, path).bearer(&token).body("{}").send().await;
            assert_eq!((answer.status, path), (404, path), "{method}: {}", answer.text());
            answer.assert_error(404, "Not found");
        }
    }
    for file in ["nothing.css", "..%2fCargo.toml", "%2e%2e%2fCargo.toml", "%2fetc%2fpasswd", "%00", "."] {
        app.get(&format!("/static/{file}"), GUEST).await.assert_error(404, "Not found");
    }
}

#[actix_web::test]
async fn a_head_beyond_16_kib_is_refused() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let chat = || app.request("POST", "/chat/").bearer(&token).body(r#"{"message":"Hello"}"#);
    chat().header("X-Long", &"x".repeat(15_000)).send().await.assert_status(201);
    let refused = chat().header("X-Long", &"x".repeat(16_384)).send().await;
    refused.assert_error(431, "Request header fields too large");
    let mut many = chat();
    for number in 0..90 {
        many = many.header(&format!("X-Number-{number}"), &"x".repeat(200));
    }
    many.send().await.assert_error(431, "Request header fields too large");
    let path = format!("/balance/?{}", "x".repeat(16_384));
    app.get(&path, &token).await.assert_error(431, "Request header fields too large");
    assert_eq!(app.balance(&token).await, 3900);
}

#[rstest]
#[actix_web::test]
async fn a_draining_server_is_alive_and_not_ready(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for path in ["/healthz", "/healthz/"] {
        app.get(path, GUEST).await.assert(200, r#"{"status":"alive"}"#);
    }
    for path in ["/readyz", "/readyz/"] {
        app.get(path, GUEST).await.assert(200, r#"{"status":"ready"}"#);
    }
    app.services.readiness.drain();
    app.get("/healthz", GUEST).await.assert_status(200);
    let refused = app.get("/readyz", GUEST).await;
    refused.assert(503, r#"{"error":"Service unavailable","reason":"draining"}"#);
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
}
