//! The reference at `/docs/`: requests are tried from the page, which forgets the auth token.

use serde_json::{Value, json};

use super::inspection::Faults;
use super::visitor::{Screen, Visitor};
use crate::support::server::Server;
use crate::support::{On, TestDatabase};

/// Opens some requests, with all that is folded in them. The others have the same parts.
const OPEN_SOME: &str = "
    for (const id of arguments[0]) {
        const request = document.getElementById(id);
        request.open = true;
        for (const folded of request.querySelectorAll('details')) folded.open = true;
    }";

/// Puts a value into a field as a person who types does.
const TYPE: &str = "
    const field = document.querySelector(arguments[0]);
    field.value = arguments[1];
    field.dispatchEvent(new Event('input', { bubbles: true }));";

/// Presses the button of the form to try a request.
const SEND: &str = "document.querySelector(`form[data-try='${arguments[0]}'] .primary`).click();";

async fn start(screen: Screen) -> Option<(TestDatabase, Server, Visitor)> {
    let database = TestDatabase::create(On::Sqlite)?;
    let server = Server::start(&database, &[]);
    let visitor = Visitor::arrive(server.address(), true, screen).await?;
    Some((database, server, visitor))
}

/// Returns the line to copy of a request.
async fn command(visitor: &Visitor, request: &str) -> String {
    let line = "return document.querySelector(`[data-curl='${arguments[0]}']`).dataset.copy";
    visitor.run(line, vec![json!(request)]).await.as_str().unwrap().to_owned()
}

async fn type_token(visitor: &Visitor, token: &str) {
    visitor.element("#auth-token").await.send_keys(token).await.unwrap();
}

#[tokio::test]
async fn a_request_is_tried_and_its_answer_is_shown() {
    let Some((_database, server, visitor)) = start(Screen::Wide).await else { return };
    let token = server.user("ada");
    visitor.open("/docs/#post-chat").await;
    visitor.sees("Try it").await;
    type_token(&visitor, &token).await;
    visitor.run(SEND, vec![json!("post-chat")]).await;
    for shown in
        ["POST /chat/", "201 Created", "x-tokens-charged: 100", "\"response\": \"Response to Hello\""]
    {
        visitor.sees(shown).await;
    }
    assert_eq!(server.tokens(&token), 3900);

    // A stream is shown as it comes.
    let stream = json!("{\"message\": \"It's a stream\", \"stream\": true}");
    visitor.run(TYPE, vec![json!("#post-chat-body"), stream]).await;
    visitor.run(SEND, vec![json!("post-chat")]).await;
    visitor.sees("event: done").await;
    visitor.sees("Response to It's a stream").await;
    assert_eq!(server.tokens(&token), 3800);

    // Parts of the path and of the query string come from fields. The page keeps the token.
    visitor.open("/docs/#get-chats").await;
    visitor.run(TYPE, vec![json!("#get-chats-limit"), json!("1")]).await;
    visitor.run(SEND, vec![json!("get-chats")]).await;
    visitor.sees("GET /chats/?limit=1").await;
    visitor.sees("200 OK").await;
    visitor.sees("\"next\": \"/chats/?limit=1&before=2\"").await;
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_auth_token_gets_into_nothing_that_lasts() {
    let Some((_database, server, visitor)) = start(Screen::Wide).await else { return };
    let token = server.user("ada");
    visitor.open("/docs/#get-balance").await;
    type_token(&visitor, &token).await;
    visitor.run(SEND, vec![json!("get-balance")]).await;
    visitor.sees("\"tokens\": 4000").await;
    assert!(!visitor.text().await.contains(&token), "the page shows the auth token");
    let line = command(&visitor, "get-balance").await;
    assert!(line.contains("Bearer $TOKEN") && !line.contains(&token), "{line}");
    let kept = visitor
        .run(
            "return [localStorage.length, sessionStorage.length, document.cookie, location.href].join(' ')",
            vec![],
        )
        .await;
    assert!(kept.as_str().unwrap().starts_with("0 0  http"), "{kept}");
    assert!(!kept.as_str().unwrap().contains(&token), "{kept}");
    // Neither a reload nor the way back brings it back.
    visitor.open("/docs/api/").await;
    visitor.run("history.back()", vec![]).await;
    visitor.sees("Auth token for trying").await;
    let value = "return document.getElementById('auth-token').value";
    assert_eq!(visitor.run(value, vec![]).await, json!(""));
    visitor.open("/docs/").await;
    assert_eq!(visitor.run(value, vec![]).await, json!(""));
    assert!(!server.log().contains(&token), "the log has the auth token");
}

#[tokio::test]
async fn the_line_to_copy_follows_the_form() {
    let Some((_database, server, visitor)) = start(Screen::Wide).await else { return };
    visitor.open("/docs/").await;
    let before = command(&visitor, "post-chat").await;
    assert!(before.contains(&format!("'http://{}/chat/'", server.address())), "{before}");
    visitor.run(TYPE, vec![json!("#post-chat-body"), json!("{\"message\":\"It's me\"}")]).await;
    visitor.run(TYPE, vec![json!("#post-chat-idempotency-key"), json!("key-1")]).await;
    let after = command(&visitor, "post-chat").await;
    assert_eq!(
        after,
        format!(
            "curl -sS 'http://{}/chat/' -H \"Authorization: Bearer $TOKEN\" -H 'Idempotency-Key: key-1' \
             -H 'Content-Type: application/json' -d '{{\"message\":\"It'\\''s me\"}}'",
            server.address()
        )
    );
    // The line works in a shell.
    let output = std::process::Command::new("sh")
        .args(["-c", &after])
        .env("TOKEN", server.user("ada"))
        .output()
        .expect("a shell runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(printed, r#"{"message":"It's me","response":"Response to It's me"}"#);
}

/// An error is an answer, too, and a server that has stopped is named.
#[tokio::test]
async fn what_fails_is_shown_as_well() {
    let Some((_database, mut server, visitor)) = start(Screen::Phone).await else { return };
    visitor.open("/docs/#get-chats-id").await;
    visitor.run(SEND, vec![json!("get-chats-id")]).await;
    visitor.sees("GET /chats/1/").await;
    visitor.sees("401 Unauthorized").await;
    visitor.sees("\"error\": \"Unauthorized\"").await;
    server.kill9();
    visitor.run(SEND, vec![json!("get-chats-id")]).await;
    visitor.sees("No response").await;
}

#[tokio::test]
async fn opened_requests_are_accessible_in_both_themes_and_on_a_phone() {
    let Some((_database, server, visitor)) = start(Screen::Wide).await else { return };
    let token = server.user("ada");
    let mut faults = Faults::default();
    let opened = json!(["post-chat", "get-chats-id", "post-auth-tokens"]);
    for screen in [Screen::Wide, Screen::Phone] {
        visitor.set_screen(screen).await;
        visitor.open("/docs/").await;
        type_token(&visitor, &token).await;
        visitor.run(OPEN_SOME, vec![opened.clone()]).await;
        visitor.run(SEND, vec![json!("post-chat")]).await;
        visitor.sees("201 Created").await;
        faults.check_access(&visitor, "reference", &format!("{screen:?}, light")).await;
        visitor.prefer("dark").await;
        faults.check_colours(&visitor, "reference", &format!("{screen:?}, dark")).await;
        visitor.prefer("light").await;
        faults.check_width(&visitor, "reference", screen).await;
        faults.check_console(&visitor, "reference", None).await;
    }
    faults.judge(4);
}

/// Without scripts, everything can be read, and nothing is offered that would not work.
#[tokio::test]
async fn the_reference_is_read_without_scripts() {
    let Some((_database, server, _)) = start(Screen::Wide).await else { return };
    let Some(visitor) = Visitor::arrive(server.address(), false, Screen::Phone).await else { return };
    visitor.open("/docs/").await;
    visitor.sees("Send a message").await;
    visitor.element("#post-chat > summary").await.click().await.unwrap();
    visitor.sees("curl -sS").await;
    let hidden = "return [...document.querySelectorAll('form, #auth-token')].every((e) => e.getClientRects().length === 0)";
    assert_eq!(visitor.run(hidden, vec![]).await, Value::Bool(true));
}
