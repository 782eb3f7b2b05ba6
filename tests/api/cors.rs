//! Pages of other origins: none may call the API unless the settings name their origin, and never
//! with cookies.

use crate::support::On;
use crate::support::app::{Answer, TestApp};

const SETTING: [&str; 2] = ["--cors-origins", "https://app.example,http://localhost:5173"];

async fn preflight(app: &TestApp, origin: &str, method: &str) -> Answer {
    preflight_with(app, "/chat/", origin, method, "authorization, content-type, idempotency-key").await
}

async fn preflight_with(app: &TestApp, path: &str, origin: &str, method: &str, headers: &str) -> Answer {
    let request = app.request("OPTIONS", path).header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", method);
    request.header("Access-Control-Request-Headers", headers).send().await
}

/// Checks that no header of the response gives another origin access.
#[track_caller]
fn assert_nothing_allowed(answer: &Answer) {
    let allowed: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-")).collect();
    assert!(allowed.is_empty() || answer.header("access-control-allow-origin").is_none(), "{allowed:?}");
}

#[actix_web::test]
async fn by_default_no_other_origin_is_allowed_anything() {
    // An empty variable, as is common in container files, is an empty list.
    for flags in [vec![], vec!["--cors-origins", ""]] {
        let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
        let token = app.user("ada").await;
        let answer = preflight(&app, "https://app.example", "POST").await;
        answer.assert_error(405, "Method not allowed");
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{answer:?}");
        let answer = app.request("GET", "/balance/").bearer(&token).header("Origin", "https://app.example");
        let answer = answer.send().await;
        answer.assert_status(200);
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{answer:?}");
    }
}

#[actix_web::test]
async fn a_preflight_of_a_named_origin_is_granted() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &SETTING).await else { return };
    for origin in ["https://app.example", "http://localhost:5173"] {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let answer = preflight(&app, origin, method).await;
            answer.assert(200, "").assert_header("access-control-allow-origin", origin);
            assert_eq!(answer.header("access-control-allow-credentials"), None, "no cookies, ever");
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.contains(method), "{methods}");
            answer.assert_header(
                "access-control-allow-headers",
                "authorization, content-type, idempotency-key",
            );
            assert!(answer.header("vary").is_some() && answer.header("x-request-id").is_some());
        }
    }
}

/// Libraries and tracing tools add headers of their own, and new versions add new ones.
#[actix_web::test]
async fn a_named_origin_may_send_any_header() {
    for setting in [SETTING, ["--cors-origins", "*"]] {
        let Some(app) = TestApp::spawn_with(On::Sqlite, &setting).await else { return };
        for headers in [
            "authorization,content-type,x-stainless-helper-method,x-stainless-poll-helper",
            "openai-beta",
            "traceparent, tracestate, baggage, b3",
            "sentry-trace",
            "x-a-header-that-nobody-knows-yet",
        ] {
            let answer =
                preflight_with(&app, "/v1/chat/completions", "https://app.example", "POST", headers).await;
            answer.assert(200, "").assert_header("access-control-allow-headers", headers);
            let other =
                preflight_with(&app, "/v1/chat/completions", "https://evil.example", "POST", headers).await;
            assert_eq!(other.status == 200, setting[1] == "*", "{headers}");
        }
        let without = app.request("OPTIONS", "/chat/").header("Origin", "https://app.example");
        without.header("Access-Control-Request-Method", "POST").send().await.assert_status(200);
    }
}

#[actix_web::test]
async fn a_preflight_of_any_other_origin_is_granted_nothing() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &SETTING).await else { return };
    for origin in ["https://evil.example", "http://app.example", "https://app.example.evil", "null"] {
        let answer = preflight(&app, origin, "POST").await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json()["error"], "Invalid origin");
        assert_nothing_allowed(&answer);
    }
    let answer = preflight(&app, "https://app.example", "PUT").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

/// A page that cannot read an error cannot tell its user why.
#[actix_web::test]
async fn a_named_origin_can_read_answers_and_errors_in_both_formats() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &SETTING).await else { return };
    let token = app.user("ada").await;
    for accept in ["application/json", "application/problem+json"] {
        for (token, path, status) in
            [(token.as_str(), "/balance/", 200), ("tg_nobody", "/balance/", 401), (&token, "/nothing", 404)]
        {
            let send = |origin: &str| {
                let request = app.request("GET", path).bearer(token).header("Accept", accept);
                request.header("Origin", origin).send()
            };
            let answer = send("https://app.example").await;
            answer.assert_status(status);
            answer.assert_header("access-control-allow-origin", "https://app.example");
            let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
            for name in
                ["x-tokens-remaining", "x-chat-id", "x-request-id", "retry-after", "idempotency-replayed"]
            {
                assert!(exposed.contains(name), "{exposed}");
            }
            assert!(answer.header("vary").unwrap().contains("Origin"));
            let other = send("https://evil.example").await;
            other.assert_status(status);
            assert_nothing_allowed(&other);
        }
    }
}

#[actix_web::test]
async fn a_star_allows_every_origin_without_cookies() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--cors-origins", "*"]).await else { return };
    let answer = preflight(&app, "https://anybody.example", "POST").await;
    answer.assert_status(200).assert_header("access-control-allow-origin", "*");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}
