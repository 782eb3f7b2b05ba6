//! The throttles, as clients experience them. The limiter's unit tests, which have their own clock,
//! show that an allowance comes back with time.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::{Answer, Request, TestApp};
use crate::support::server::PASSWORD;

const ON: [&str; 2] = ["--throttle", "on"];

fn log_in<'a>(app: &'a TestApp, name: &str) -> Request<'a> {
    app.request("POST", "/login/").json(&json!({ "username": name, "password": "wrong" }))
}

/// Checks for a rejection with a wait of whole seconds, at most `longest`.
#[track_caller]
fn assert_throttled(answer: &Answer, longest: u64) {
    answer.assert_error(429, "Too many requests");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&wait), "{wait}");
}

#[rstest]
#[actix_web::test]
async fn one_address_has_10_tries_to_log_in(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    app.register("ada").await.assert_status(201);
    for number in 0..10 {
        let answer = log_in(&app, &format!("name-{number}")).from("192.0.2.1").send().await;
        answer.assert_error(400, "Invalid username");
    }
    assert_throttled(&log_in(&app, "name-10").from("192.0.2.1").send().await, 6);
    assert_throttled(&log_in(&app, "ada").from("::ffff:192.0.2.1").send().await, 6);
    let other = app.request("POST", "/login/").json(&json!({ "username": "ada", "password": PASSWORD }));
    other.from("192.0.2.2").send().await.assert_status(200);
}

/// Guessing slows down only the guesser: the account's owner, at another address, notices nothing.
#[rstest]
#[actix_web::test]
async fn one_address_has_5_tries_at_an_account_in_any_spelling(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    app.register("ada").await.assert_status(201);
    for name in ["ada", "ADA", "Ada", "Ａda", "aDa"] {
        log_in(&app, name).from("192.0.2.1").send().await.assert_error(400, "Invalid password");
    }
    assert_throttled(&log_in(&app, "adA").from("192.0.2.1").send().await, 60);
    log_in(&app, "bob").from("192.0.2.1").send().await.assert_error(400, "Invalid username");
    let owner = app.request("POST", "/login/").json(&json!({ "username": "ada", "password": PASSWORD }));
    owner.from("192.0.2.2").send().await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn one_address_can_register_20_users(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    let register = |name: String, password: &str| {
        app.request("POST", "/register/").json(&json!({ "username": name, "password": password }))
    };
    for number in 0..20 {
        // Rejected ones also count: they cost the server as much.
        let (password, status) = if number % 2 == 0 { (PASSWORD, 201) } else { ("short", 400) };
        let answer = register(format!("name-{number}"), password).from("192.0.2.1").send().await;
        answer.assert_status(status);
    }
    let answer = register("name-20".to_owned(), PASSWORD).from("192.0.2.1").send().await;
    assert_throttled(&answer, 60);
    register("name-20".to_owned(), PASSWORD).from("192.0.2.2").send().await.assert_status(201);
    assert_eq!(app.count("users"), 11);
}

#[rstest]
#[actix_web::test]
async fn thirty_chats_in_a_row_are_not_throttled(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    let token = app.user("ada").await;
    for _ in 0..30 {
        app.chat(&token, "Hello").await.assert_status(201);
    }
    assert_eq!(app.balance(&token).await, 1000);
}

#[actix_web::test]
async fn ipv6_counts_by_its_64_bit_network() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &ON).await else { return };
    for number in 0..10 {
        let peer = format!("2001:db8:1:2::{number:x}");
        log_in(&app, &format!("name-{number}")).from(&peer).send().await.assert_status(400);
    }
    let neighbour = log_in(&app, "other").from("2001:db8:1:2:ffff:ffff:ffff:ffff").send().await;
    assert_throttled(&neighbour, 6);
    log_in(&app, "other").from("2001:db8:1:3::1").send().await.assert_status(400);
}

#[actix_web::test]
async fn x_forwarded_for_of_a_stranger_is_ignored() {
    for flags in [vec![], vec!["--trusted-proxies", "10.0.0.0/8,::1"]] {
        let flags = [&ON[..], &flags].concat();
        let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
        for number in 0..10 {
            let made_up = format!("198.51.100.{number}");
            let request = log_in(&app, &format!("name-{number}")).from("192.0.2.1");
            request.header("X-Forwarded-For", &made_up).send().await.assert_status(400);
        }
        let request = log_in(&app, "other").from("192.0.2.1").header("X-Forwarded-For", "203.0.113.1");
        assert_throttled(&request.send().await, 6);
        log_in(&app, "other").from("198.51.100.1").send().await.assert_status(400);
    }
}

#[actix_web::test]
async fn x_forwarded_for_counts_only_as_far_as_trusted_proxies_wrote_it() {
    let flags = [&ON[..], &["--trusted-proxies", "10.0.0.0/8"]].concat();
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let through = |forwarded: &str| {
        let request = log_in(&app, "other").from("10.0.0.1").header("X-Forwarded-For", forwarded);
        request.send()
    };
    for number in 0..10 {
        // The client invents what precedes its own address.
        let forwarded = format!("203.0.113.{number}, 192.0.2.1, 10.0.0.2");
        let request = log_in(&app, &format!("name-{number}")).from("10.0.0.1");
        request.header("X-Forwarded-For", &forwarded).send().await.assert_status(400);
    }
    assert_throttled(&through("192.0.2.1").await, 6);
    through("192.0.2.2").await.assert_status(400);
    let lines = log_in(&app, "more").from("10.0.0.1").header("X-Forwarded-For", "192.0.2.3");
    assert_throttled(&lines.header("X-Forwarded-For", "192.0.2.1").send().await, 6);
}

#[actix_web::test]
async fn nothing_is_throttled_when_throttling_is_off() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--throttle", "off"]).await else { return };
    for number in 0..25 {
        app.register(&format!("name-{number}")).await.assert_status(201);
        log_in(&app, "name-0").send().await.assert_error(400, "Invalid password");
    }
}

/// A line that is not valid text must not hide the address that the proxy added, in the same line
/// or in another one.
#[actix_web::test]
async fn invalid_text_in_x_forwarded_for_does_not_hide_the_address() {
    let flags = [&ON[..], &["--trusted-proxies", "10.0.0.0/8"]].concat();
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    for number in 0..10 {
        let request = log_in(&app, &format!("name-{number}")).from("10.0.0.1");
        let garbage = [&b"\xff\xfe, "[..], b"192.0.2.1"].concat();
        request.bytes("X-Forwarded-For", &garbage).send().await.assert_status(400);
    }
    let request = log_in(&app, "other").from("10.0.0.1").bytes("X-Forwarded-For", b"\xff");
    assert_throttled(&request.header("X-Forwarded-For", "192.0.2.1").send().await, 6);
    log_in(&app, "other").from("10.0.0.1").send().await.assert_status(400);
}

#[actix_web::test]
async fn an_ipv6_network_of_56_bits_has_a_limit_of_its_own() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &ON).await else { return };
    let mut tried = 0;
    for number in 0..64 {
        let answer =
            log_in(&app, &format!("name-{number}")).from(&format!("2001:db8:1:{number:x}::1")).send().await;
        tried += u32::from(answer.status == 400);
    }
    assert!((40..=45).contains(&tried), "of one /56: {tried}");
    log_in(&app, "other").from("2001:db8:1:100::1").send().await.assert_status(400);
    log_in(&app, "other").from("2001:db8:2::1").send().await.assert_status(400);
}
