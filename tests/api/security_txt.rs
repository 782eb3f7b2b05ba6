//! `/.well-known/security.txt`: where to report vulnerabilities, in the form of RFC 9116.

use chrono::{DateTime, TimeDelta, Utc};

use crate::support::On;
use crate::support::app::{GUEST, TestApp};

const PATH: &str = "/.well-known/security.txt";

/// Returns the values of a field.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(": ").filter(|(field, _)| *field == name))
        .map(|(_, value)| value)
        .collect()
}

#[actix_web::test]
async fn the_contact_is_served_and_expires_within_a_year() {
    for (contact, uri) in [
        ("security@chat.example", "mailto:security@chat.example"),
        ("https://chat.example/report", "https://chat.example/report"),
    ] {
        let flags = ["--security-contact", contact, "--public-url", "https://chat.example"];
        let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
        let answer = app.get(PATH, GUEST).await;
        answer.assert_status(200).assert_header("content-type", "text/plain; charset=utf-8");
        answer.assert_header("x-content-type-options", "nosniff");
        let text = answer.text();
        assert_eq!(values(&text, "Contact"), [uri]);
        assert_eq!(values(&text, "Canonical"), [format!("https://chat.example{PATH}")]);
        let [expires] = values(&text, "Expires")[..] else { panic!("one expiry: {text}") };
        let expires: DateTime<Utc> = expires.parse().unwrap();
        let left = expires - Utc::now();
        assert!(left > TimeDelta::days(30) && left < TimeDelta::days(365), "{text}");
        let mut lines = text.lines();
        assert!(text.ends_with('\n') && lines.all(|line| line.contains(": ")), "{text}");
        app.request("HEAD", PATH).send().await.assert_status(200);
    }
}

#[actix_web::test]
async fn without_a_contact_there_is_no_such_file() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    app.get(PATH, GUEST).await.assert_error(404, "Not found");
    app.get("/.well-known/", GUEST).await.assert_error(404, "Not found");
    app.get("/.well-known/change-password", GUEST).await.assert_error(404, "Not found");
}

/// Anybody can send a `Host`, and copies of the file are kept.
#[actix_web::test]
async fn the_file_says_nothing_that_its_client_has_sent() {
    let flags = ["--security-contact", "security@chat.example"];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let answer = app.request("GET", PATH).header("Host", "evil.example").send().await;
    answer.assert_status(200);
    assert!(!answer.text().contains("evil") && !answer.text().contains("Canonical"), "{}", answer.text());
}
