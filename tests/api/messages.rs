//! Which messages and which bodies are accepted.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{GUEST, TestApp};
use crate::support::server::Server;
use crate::support::{On, TestDatabase};

#[rstest]
#[actix_web::test]
async fn a_message_comes_back_as_it_was_sent(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let longest = "\u{1F511}".repeat(32_000);
    for message in ["  two spaces\n", "Grüße, 世界 \u{1F600}\u{200D}", "\"quoted\" \\ \u{1}", &longest] {
        let answer = app.chat(&token, message).await;
        answer.assert_status(201);
        let expected = json!({ "message": message, "response": format!("Response to {message}") });
        assert_eq!(answer.json(), expected);
        let stored = app.get("/chats/?limit=1", &token).await.json();
        assert_eq!(stored["chats"][0]["message"], message);
    }
}

#[rstest]
#[actix_web::test]
async fn an_invalid_message_is_refused_without_a_charge(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let too_long = "x".repeat(32_001);
    for message in ["", " ", "\n\t\u{A0}\u{3000}", "a\0b", "\0", &too_long]
        .map(Value::from)
        .into_iter()
        .chain([json!(5), json!(true), json!(null), json!(["Hello"]), json!({ "text": "Hello" })])
    {
        app.post("/chat/", &token, json!({ "message": message })).await.assert_error(400, "Invalid message");
    }
    assert_eq!((app.balance(&token).await, app.count("chats")), (4000, 0));
}

/// Each is sent with a valid auth token, so that a 401 does not hide the body's own error.
#[rstest]
#[actix_web::test]
async fn a_body_that_is_not_a_valid_json_object_is_refused_everywhere(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let fields = r#""message":"Hello","username":"bob","password":"correct horse battery","name":"n",
        "old_password":"correct horse battery","new_password":"other horse battery""#;
    let deep = format!("{{{fields},\"more\":{}", "[".repeat(100_000));
    let bad_utf8 = [b"{", fields.as_bytes(), b",\"more\":\"\xff\"}"].concat();
    let bodies = [
        String::new(),
        "null".to_owned(),
        "\"Hello\"".to_owned(),
        r#"["Hello","correct horse battery"]"#.to_owned(),
        format!("{{{fields}"),
        format!("{{{fields},}}"),
        format!("{{{fields}}} more"),
        format!(
            "{{{fields},\"message\":\"twice\",\"username\":\"twice\",\"name\":\"twice\",\"old_password\":\"twice\"}}"
        ),
        format!("{{{fields},\"more\":\"\\ud800\"}}"),
        format!("{{{fields},\"more\":\"\\udc00\\ud800\"}}"),
        format!("{{{fields},\"more\":[{{\"\\u0000\":1}}]}}"),
        format!("\u{feff}\u{feff}{{{fields}}}"),
        deep,
    ];
    for body in bodies.map(String::into_bytes).into_iter().chain([bad_utf8]) {
        for (path, error) in [
            ("/chat/", "Invalid message"),
            ("/register/", "Invalid username or password"),
            ("/login/", "Invalid username"),
            ("/auth-tokens/", "Invalid body"),
            ("/password/", "Invalid body"),
        ] {
            let answer = app.request("POST", path).bearer(&token).body(body.clone()).send().await;
            assert_eq!(
                (answer.status, answer.error().as_str()),
                (400, error),
                "{path} {}",
                String::from_utf8_lossy(&body).chars().take(150).collect::<String>()
            );
        }
    }
    let valid = app.request("POST", "/chat/").bearer(&token).body(format!("\n {{{fields}}} \n")).send().await;
    valid.assert_status(201);
    assert_eq!((app.count("users"), app.count("chats"), app.count("auth_tokens")), (1, 1, 1));
}

#[rstest]
#[actix_web::test]
async fn a_body_is_read_if_its_content_type_is_unambiguous_and_it_is_not_compressed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let chat = || app.request("POST", "/chat/").bearer(&token).body(r#"{"message":"Hello"}"#);
    chat().send().await.assert_status(201);
    for good in ["application/json", "APPLICATION/JSON;charset=utf-8", "application/vnd.chat+json"] {
        chat().header("Content-Type", good).send().await.assert_status(201);
    }
    let twice = chat().header("Content-Type", "application/json").header("Content-Type", "text/plain");
    let refused = twice.send().await;
    refused.assert_error(415, "Unsupported media type");
    refused
        .assert_header("accept", "application/json, application/x-www-form-urlencoded, multipart/form-data");
    chat().header("Content-Encoding", "identity").send().await.assert_status(201);
    for coding in ["gzip", "br", "zstd"] {
        let refused = chat().header("Content-Encoding", coding).send().await;
        refused.assert_error(415, "Unsupported media type").assert_header("accept-encoding", "identity");
        assert_eq!(refused.header("accept"), None, "the type was right");
    }
    assert_eq!(app.balance(&token).await, 3500);
}

/// 401 comes first on `/chat/`, whatever else is wrong with the request.
#[rstest]
#[actix_web::test]
async fn a_body_has_at_most_512_kib(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let body = |length: usize| {
        let start = r#"{"message":"Hello","more":""#;
        format!("{start}{}\"}}", "x".repeat(length - start.len() - 2))
    };
    let chat = |token: &str, length: usize| app.request("POST", "/chat/").bearer(token).body(body(length));
    chat(&token, 512 * 1024).send().await.assert_status(201);
    chat(&token, 512 * 1024 + 1).send().await.assert_error(413, "Request body too large");
    chat(GUEST, 512 * 1024 + 1).send().await.assert_error(401, "Unauthorized");
    chat("tg_nobody", 512 * 1024 + 1).send().await.assert_error(401, "Unauthorized");
    assert_eq!(app.count("chats"), 1);
}

/// A body without a declared length is measured as it arrives. It is left open here: the response
/// does not wait for its end.
#[actix_web::test]
async fn a_body_of_unknown_length_has_the_same_limit() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let mut client = server.client();
    let (length, rest) = (512 * 1024 + 1, "x".repeat(512 * 1024));
    let head = format!("POST /chat/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
    let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n\"{rest}\r\n");
    client.raw(request.as_bytes()).unwrap().assert_error(413, "Request body too large");
    assert_eq!(server.tokens(&token), 4000);
}
