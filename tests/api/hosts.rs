//! Pages that use a host name of their own for this server (DNS rebinding).

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::{Answer, Request, TestApp};
use crate::support::server::PASSWORD;

const ERROR: &str = "Unknown host name: if it is this server's own, its operator must set --public-url to it";

/// Returns requests of all kinds: of guests and users, forms, files, paths that do not exist.
fn requests<'a>(app: &'a TestApp, token: &str) -> Vec<Request<'a>> {
    let request = |method: &str, path: &str| app.request(method, path).bearer(token);
    vec![
        request("POST", "/register/").json(&json!({ "username": "eve", "password": PASSWORD })),
        request("POST", "/register").header("Content-Type", "text/plain").body("{}"),
        request("POST", "/login/").json(&json!({ "username": "ada", "password": PASSWORD })),
        request("POST", "/chat/").json(&json!({ "message": "Hello" })),
        request("POST", "/v1/chat/completions").json(&json!({})),
        request("POST", "/admin/sign-in/").header("Content-Type", "application/x-www-form-urlencoded"),
        request("GET", "/balance/"),
        request("GET", "/"),
        request("GET", "/static/tollgate.css"),
        request("GET", "/healthz"),
        request("OPTIONS", "/chat/"),
        request("DELETE", "/auth-tokens/1/"),
        request("GET", "/nothing"),
    ]
}

#[rstest]
#[actix_web::test]
async fn a_page_under_a_name_of_its_own_is_refused(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(&[], &["--public-url", "https://chat.example"], &["--cors-origins", "*"])] flags: &[&str],
) {
    let Some(app) = TestApp::spawn_with(on, flags).await else { return };
    let token = app.user("ada").await;
    for request in requests(&app, &token) {
        let request =
            request.header("Host", "evil.example:8000").header("Origin", "http://evil.example:8000");
        let answer = request.send().await;
        assert_eq!(answer.status, 421, "{}", answer.text());
        assert!(answer.text().contains("--public-url"), "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert!(answer.header("set-cookie").is_none() && answer.header("x-request-id").is_some());
    }
    let fetched = app.request("POST", "/register/").json(&json!({ "username": "eve", "password": PASSWORD }));
    let fetched = fetched.header("Host", "evil.example").header("Sec-Fetch-Site", "same-origin").send().await;
    fetched.assert_error(421, ERROR);
    assert_eq!((app.count("users"), app.count("chats"), app.balance(&token).await), (1, 0, 4000));
}

#[actix_web::test]
async fn the_refusal_names_the_setting_in_every_format() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let send = async |path: &str, accept: &str| -> Answer {
        let request = app.request("POST", path).header("Host", "evil.example").header("Accept", accept);
        request.header("Origin", "http://evil.example").send().await
    };
    send("/chat/", "*/*").await.assert_error(421, ERROR);
    let problem = send("/chat/", "application/problem+json").await.json();
    assert_eq!(problem["type"], "urn:tollgate:problem:unknown-host");
    assert!(problem["detail"].as_str().unwrap().contains("--public-url"), "{problem}");
    let protocol = send("/v1/chat/completions", "*/*").await.json();
    assert_eq!(protocol["error"]["code"], "unknown_host");
    let page = send("/admin/sign-in/", "text/html").await;
    assert!(page.text().contains("<h1>") && page.text().contains("--public-url"), "{}", page.text());
}

#[rstest]
#[actix_web::test]
async fn programs_and_known_names_are_served(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--public-url", "https://chat.example", "--cors-origins", "https://app.example"];
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    let token = app.user("ada").await;
    let chat = |host: &str| {
        let request = app.request("POST", "/chat/").bearer(&token).header("Host", host);
        request.json(&json!({ "message": "Hello" }))
    };
    let mut chats = 0;
    for (host, origin) in [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("192.168.1.7", "http://192.168.1.7"),
        ("chat.example", "https://chat.example"),
        // A proxy that puts its own name for this server in place.
        ("tollgate.internal", "https://chat.example"),
        ("any.example", "https://app.example"),
    ] {
        let answer = chat(host).header("Origin", origin).send().await;
        assert_eq!(answer.status, 201, "{host} {origin}: {}", answer.text());
        chats += 1;
    }
    chat("any.example").send().await.assert_status(201);
    assert_eq!(app.count("chats"), chats + 1);
    let preflight = app.request("OPTIONS", "/chat/").header("Host", "any.example");
    let preflight = preflight.header("Origin", "https://app.example");
    let preflight = preflight.header("Access-Control-Request-Method", "POST").send().await;
    preflight.assert_status(200).assert_header("access-control-allow-origin", "https://app.example");
    // Monitors and people who open the start page send no origin.
    for headers in [vec![], vec![("Sec-Fetch-Site", "none")]] {
        for path in ["/", "/healthz", "/readyz", "/admin/sign-in/"] {
            let request = app.request("GET", path).header("Host", "any.example");
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            request.send().await.assert_status(200);
        }
    }
}

/// The proxy that ends TLS has the certificate of the name, so the name is not the page's own.
#[actix_web::test]
async fn behind_a_proxy_with_tls_a_server_without_its_public_url_stays_usable() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let chat = |origin: &str| {
        let request = app.request("POST", "/chat/").bearer(&token).header("Host", "chat.example");
        request.header("Origin", origin).json(&json!({ "message": "Hello" })).send()
    };
    chat("https://chat.example").await.assert_status(201);
    chat("http://chat.example").await.assert_error(421, ERROR);
}
