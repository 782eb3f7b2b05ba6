//! Requests for what this server does not offer, mostly by clients of language models.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::api;

use crate::support::app::{GUEST, TestApp};
use crate::support::server::Server;
use crate::support::{On, TestDatabase};

/// Paths that clients of the OpenAI protocol ask for.
const OF_CLIENTS: [(&str, &str); 21] = [
    ("POST", "/v1/audio/speech"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/rerank"),
    ("POST", "/v1/responses/compact"),
    ("POST", "/v1/responses/compact/"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("POST", "/v1/v1/messages"),
    ("POST", "/messages"),
    ("GET", "/v1/nothing"),
    ("GET", "/v1"),
    ("GET", "/v1/"),
    ("POST", "/chat/completions"),
    ("POST", "/chat/completions/"),
    ("GET", "/models"),
    ("GET", "/models/gpt-4o"),
    ("POST", "/embeddings"),
    ("POST", "/v1/v1/chat/completions"),
    ("GET", "/v1/v1/models"),
    ("POST", "//v1/chat/completions"),
    ("POST", "/openai/deployments/gpt/chat/completions"),
];

#[actix_web::test]
async fn a_client_of_the_protocol_learns_what_is_available() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let offered: Vec<&str> =
        api::ROUTES.iter().map(|(path, _)| *path).filter(|path| path.starts_with("/v1/")).collect();
    assert_eq!(offered.len(), 11, "{offered:?}");
    for (method, path) in OF_CLIENTS {
        for token in [GUEST, &token] {
            for accept in ["application/json", "application/problem+json"] {
                let request = app.request(method, path).bearer(token).header("Accept", accept);
                let answer = request.json(&json!({ "model": "m" })).send().await;
                assert_eq!(answer.status, 404, "{path}");
                answer
                    .assert_header("x-should-retry", "false")
                    .assert_header("content-type", "application/json");
                let body = answer.json();
                let error = &body["error"];
                let fields = (&error["type"], &error["param"], &error["code"]);
                let is_anthropic = path.ends_with("/messages");
                let kind = if is_anthropic { "not_found_error" } else { "invalid_request_error" };
                assert_eq!(fields, (&json!(kind), &Value::Null, &json!("unknown_url")), "{path}");
                let message = error["message"].as_str().unwrap();
                assert!(message.contains(&format!("`{method} {path}`")), "{message}");
                assert!(message.contains("base URL ends in /v1"), "{message}");
                for path in &offered {
                    assert!(message.contains(&path.replace("{id:.+}", "{id}")), "{message} lacks {path}");
                }
            }
        }
    }
}

#[actix_web::test]
async fn what_responses_do_not_offer_has_something_instead() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for (path, instead) in [
        ("/v1/responses/compact", "\"truncation\": \"auto\""),
        ("/v1/responses/resp_1/cancel", "close the connection"),
        ("/v1/responses/resp_1/cancel/", "close the connection"),
    ] {
        let answer = app.post(path, &token, json!({ "model": "m" })).await;
        let message = answer.assert_status(404).json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(instead), "{message}");
    }
    // What is a pattern's is still the pattern's.
    app.post("/v1/responses/resp_1", &token, json!({})).await.assert_status(405);
}

#[actix_web::test]
async fn other_paths_get_the_contracts_404() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    for path in ["/nothing", "/chat/1", "/api/chat", "/v1x/models", "/completionsx", "/index.php"] {
        let answer = app.request("POST", path).body("{}").send().await;
        answer.assert_error(404, "Not found");
        assert_eq!(answer.header("x-should-retry"), None);
        let problem =
            app.request("POST", path).header("Accept", "application/problem+json").send().await.json();
        assert_eq!(problem["type"], "urn:tollgate:problem:not-found");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`POST {path}`")), "{problem}");
    }
}

#[actix_web::test]
async fn a_long_or_odd_path_is_not_repeated_as_it_is() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    for path in [format!("/v1/{}", "x".repeat(9000)), format!("/models/{}", "%1b%5b31m%e2%80%ae".repeat(300))]
    {
        let answer = app.get(&path, GUEST).await;
        let message = answer.assert_status(404).json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.len() < 700 && !message.contains(char::is_control), "{message}");
    }
}

/// A 404 or 405 makes proxies in front of several servers take this one for broken, if they may
/// try again.
#[actix_web::test]
async fn no_404_or_405_of_the_protocol_is_to_be_tried_again() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for (method, path, status) in
        [("GET", "/v1/models/gpt-9", 404), ("GET", "/v1/chat/completions", 405), ("GET", "/v1/files", 404)]
    {
        let answer = app.request(method, path).bearer(&token).send().await;
        answer.assert_status(status).assert_header("x-should-retry", "false");
    }
}

#[test]
fn the_log_names_known_endpoints_and_nothing_else_of_an_unknown_path() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Server::start(&database, &[]);
    let secret = "a-secret-in-the-wrong-place";
    let cases = [
        ("/v1/audio/speech".to_owned(), "/v1/audio/speech (no such path)"),
        ("/chat/completions".to_owned(), "/chat/completions (no such path)"),
        (format!("/v1/files/{secret}"), "/v1/files/… (no such path)"),
        (format!("/api/tags/?token={secret}"), "/api/tags (no such path)"),
        (format!("/{secret}"), "(no such path)"),
        (format!("/v1/{secret}"), "(no such path)"),
        (format!("/{secret}/models"), "(no such path)"),
    ];
    let lines = cases.map(|(path, shown)| {
        let answer = server.client().send("POST", &path, &[], b"{}").unwrap();
        assert_eq!(answer.status, 404, "{path}");
        (format!(", id {}", answer.header("x-request-id").unwrap()), format!("POST {shown} 404 "))
    });
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    let log = server.log();
    for (id, shown) in lines {
        let line = log.lines().find(|line| line.ends_with(&id)).unwrap_or_else(|| panic!("no line: {log}"));
        assert!(line.contains(&shown), "{line}");
    }
    assert!(!log.contains(secret));
}

#[actix_web::test]
async fn the_health_check_has_a_second_name() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    for path in ["/health", "/health/", "/healthz", "/healthz/"] {
        app.get(path, GUEST).await.assert(200, r#"{"status":"alive"}"#);
        app.request("HEAD", path).send().await.assert_status(200);
    }
    app.services.readiness.drain();
    app.get("/health", GUEST).await.assert_status(200);
    app.request("POST", "/health").send().await.assert_error(405, "Method not allowed");
}
