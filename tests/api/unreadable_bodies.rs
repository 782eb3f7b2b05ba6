//! Bodies with a byte order mark, and bodies that cannot be parsed: the contract's text stays, and
//! the problem document says that the body is at fault.

use rstest::rstest;
use serde_json::{Value, json};

use super::upstream::spawn;
use crate::support::On;
use crate::support::app::{GUEST, TestApp};
use crate::support::server::PASSWORD;

/// Windows' editors and PowerShell put it before UTF-8.
const MARK: &str = "\u{feff}";

#[rstest]
#[actix_web::test]
async fn a_byte_order_mark_before_a_body_is_skipped_on_every_path(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, _)) = spawn(on, &[]).await else { return };
    let user = json!({ "username": "bob", "password": PASSWORD });
    let send = async |method: &str, path: &str, token: &str, body: &Value| {
        let body = format!("{MARK}{body}");
        app.request(method, path)
            .bearer(token)
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
    };
    send("POST", "/register/", GUEST, &user).await.assert_status(201);
    let token = send("POST", "/login/", GUEST, &user).await.json()["token"].as_str().unwrap().to_owned();
    let chat = send("POST", "/chat/", &token, &json!({ "message": "Hello" })).await;
    assert_eq!(chat.assert_status(201).json()["message"], "Hello");
    let in_body = json!({ "message": "Hello", "token": token });
    send("POST", "/chat/", GUEST, &in_body).await.assert_status(201);
    let made = send("POST", "/conversations/", &token, &json!({ "title": "one" })).await;
    assert_eq!(made.assert_status(201).json()["title"], "one");
    let path = format!("/conversations/{}/", made.json()["id"]);
    let renamed = send("PATCH", &path, &token, &json!({ "title": "two" })).await;
    assert_eq!(renamed.assert_status(200).json()["title"], "two");
    send("POST", "/auth-tokens/", &token, &json!({ "name": "n" })).await.assert_status(201);
    // Short, of more than the size of most bodies, and after a body of the mark alone.
    for text in ["hi".to_owned(), "x".repeat(600 * 1024)] {
        let question =
            json!({ "model": "m", "messages": [{ "role": "user", "content": text }], "max_tokens": 5 });
        let answer = send("POST", "/v1/chat/completions", &token, &question).await;
        assert_eq!(answer.status, 200, "{:.300}", answer.text());
    }
    assert_eq!(upstream.requests().len(), 4);
    let change = json!({ "old_password": PASSWORD, "new_password": "other horse battery" });
    send("POST", "/password/", &token, &change).await.assert_status(200);
    app.request("POST", "/conversations/").bearer(&token).body(MARK).send().await.assert_status(201);
    send("POST", "/logout/", &token, &json!({ "everywhere": true })).await.assert_status(200);
    app.get("/balance/", &token).await.assert_error(401, "Unauthorized");
}

/// Bodies that cannot be parsed, with a part of the reason.
fn unreadable() -> Vec<(Vec<u8>, &'static str)> {
    let user = format!(r#"{{"username":"ada","password":"{PASSWORD}","message":"Hello"}}"#);
    let utf16: Vec<u8> = user.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        (Vec::new(), "it is empty"),
        (MARK.as_bytes().to_vec(), "it is empty"),
        (b" \n".to_vec(), "it is empty"),
        (b"{".to_vec(), "not valid JSON, or is nested too deeply (line 1, column 1)"),
        (user.replace("\",\"", "\" \"").into_bytes(), "not valid JSON"),
        (user.replace('"', "'").into_bytes(), "not valid JSON"),
        (format!("[{user}]").into_bytes(), "not a JSON object"),
        (b"null".to_vec(), "not a JSON object"),
        (b"username=ada".to_vec(), "not a JSON object"),
        (utf16.clone(), "not valid JSON"),
        ([b"\xff\xfe", utf16.as_slice()].concat(), "not UTF-8"),
        (user.replace("Hello", "Gr\u{fc}\u{df}e").chars().map(|c| c as u8).collect(), "not UTF-8"),
        (user.replace("Hello", "\\u0000").into_bytes(), "U+0000"),
        (user.replace("message", "username").into_bytes(), "appears twice"),
    ]
}

#[rstest]
#[case("/register/", "Invalid username or password", &[])]
#[case("/login/", "Invalid username", &[])]
#[case("/login/", "Invalid username or password", &["--login-errors", "unified"])]
#[case("/chat/", "Invalid message", &[])]
#[actix_web::test]
async fn a_body_that_cannot_be_parsed_is_not_blamed_on_what_it_might_have_said(
    #[case] path: &str,
    #[case] error: &str,
    #[case] flags: &[&str],
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, flags).await else { return };
    let token = app.user("ada").await;
    for (body, reason) in unreadable() {
        // `/chat/` allows any fields, so only an object of two equal ones that it reads is wrong.
        if path == "/chat/" && reason == "appears twice" {
            continue;
        }
        let shown = String::from_utf8_lossy(&body).into_owned();
        let send = |accept: &str| {
            let request = app.request("POST", path).bearer(&token).header("Content-Type", "application/json");
            request.header("Accept", accept).body(body.clone()).send()
        };
        send("application/json").await.assert_error(400, error);
        let answer = send("application/problem+json").await;
        let problem = answer.assert_status(400).json();
        assert_eq!(problem["type"], "urn:tollgate:problem:unreadable-body", "{shown}");
        assert_eq!(problem["title"], "Unreadable body", "{shown}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("The body could not be parsed: "), "{shown}: {detail}");
        assert!(detail.contains(reason), "{shown}: {detail}");
        assert_eq!(problem["errors"][0]["field"], "body", "{shown}");
        assert!(!answer.text().contains("deactivated") && !answer.text().contains(PASSWORD), "{shown}");
    }
    assert_eq!((app.count("users"), app.count("chats")), (1, 0));
}

/// What can be parsed is judged by its fields.
#[actix_web::test]
async fn a_missing_field_is_not_reported_as_an_unreadable_body() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for body in ["{}", r#"{"username":7,"message":7}"#, r#"{"username":null,"message":null}"#] {
        for (path, kind) in [
            ("/register/", "invalid-registration"),
            ("/login/", "invalid-username"),
            ("/chat/", "invalid-message"),
        ] {
            let request =
                app.request("POST", path).bearer(&token).header("Accept", "application/problem+json");
            let problem = request.body(body).send().await.assert_status(400).json();
            assert_eq!(problem["type"], format!("urn:tollgate:problem:{kind}"), "{path} {body}");
        }
    }
}

/// Also an unreadable body counts as an attempt to log in, or to register.
#[actix_web::test]
async fn an_unreadable_body_does_not_bypass_the_throttles() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--throttle", "on"]).await else { return };
    for (path, most) in [("/login/", 10), ("/register/", 20)] {
        let mut statuses = Vec::new();
        for _ in 0..=most {
            statuses.push(app.request("POST", path).body("{").send().await.status);
        }
        assert!(statuses.contains(&400) && statuses.last() == Some(&429), "{path}: {statuses:?}");
    }
    let Some(closed) = TestApp::spawn_with(On::Sqlite, &["--registration", "closed"]).await else { return };
    closed.request("POST", "/register/").body("{").send().await.assert_error(403, "Registration is closed");
}

#[actix_web::test]
async fn under_v1_the_error_says_where_the_body_is_wrong() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for (body, reason) in unreadable() {
        if reason == "appears twice" {
            continue;
        }
        let answer = app.request("POST", "/v1/chat/completions").bearer(&token).body(body).send().await;
        let error = answer.assert_status(400).json()["error"].clone();
        assert_eq!((&error["param"], &error["code"]), (&json!("body"), &json!("invalid_field")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
    }
}
