//! Conversations: only their user can list, read, rename and delete them, and the model gets their
//! earlier messages.

use rstest::rstest;
use serde_json::{Value, json};

use super::upstream::spawn;
use crate::support::On;
use crate::support::app::{GUEST, TestApp};
use crate::support::upstream::{
    ScriptedUpstream, Step, answer, chunk, done, event, finish, head, status, usage,
};

async fn start(app: &TestApp, token: &str, title: &str) -> i64 {
    let made = app.post("/conversations/", token, json!({ "title": title })).await;
    made.assert_status(201);
    made.json()["id"].as_i64().unwrap()
}

#[rstest]
#[actix_web::test]
async fn a_conversation_is_made_listed_read_renamed_and_deleted(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let untitled = app.request("POST", "/conversations").bearer(&token).send().await;
    assert_eq!(untitled.assert_status(201).json()["title"], "");
    let id = start(&app, &token, " Trains ").await;
    let path = format!("/conversations/{id}/");
    let listed = app.get("/conversations/?limit=1", &token).await.json();
    assert_eq!(listed["conversations"][0]["title"], "Trains");
    assert_eq!(listed["next"], format!("/conversations/?limit=1&before={id}"));

    let rename = app.request("PATCH", &path).bearer(&token).json(&json!({ "title": "Ships" })).send().await;
    assert_eq!(rename.assert_status(200).json()["title"], "Ships");
    app.post("/chat/", &token, json!({ "message": "one", "conversation_id": id })).await.assert_status(201);
    app.post("/chat/", &token, json!({ "message": "alone" })).await.assert_status(201);
    let read = app.get(&path, &token).await.json();
    assert_eq!((&read["title"], read["chats"].as_array().unwrap().len()), (&json!("Ships"), 1));
    assert_eq!(
        (&read["chats"][0]["message"], &read["chats"][0]["conversation_id"]),
        (&json!("one"), &json!(id))
    );

    app.delete(&path, &token).await.assert_status(204);
    app.get(&path, &token).await.assert_error(404, "Not found");
    app.delete(&path, &token).await.assert_error(404, "Not found");
    let late = app.post("/chat/", &token, json!({ "message": "two", "conversation_id": id })).await;
    late.assert_error(400, "Invalid conversation_id");
    assert_eq!(
        app.get("/chats/", &token).await.json()["chats"].as_array().unwrap().len(),
        2,
        "paid chats are kept"
    );
    assert_eq!(app.count(&format!("conversations WHERE id = {id} AND title = ''")), 1);
}

#[actix_web::test]
async fn nobody_can_reach_the_conversations_of_others() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let path = format!("/conversations/{}/", start(&app, &ada, "Trains").await);
    app.get(&path, &bob).await.assert_error(404, "Not found");
    app.delete(&path, &bob).await.assert_error(404, "Not found");
    let rename = app.request("PATCH", &path).bearer(&bob).json(&json!({ "title": "Mine" })).send().await;
    rename.assert_error(404, "Not found");
    assert_eq!(app.get("/conversations/", &bob).await.json()["conversations"], json!([]));
    let id: i64 = path.split('/').nth(2).unwrap().parse().unwrap();
    let said = json!({ "message": "hi", "conversation_id": id });
    app.post("/chat/", &bob, said.clone()).await.assert_error(400, "Invalid conversation_id");
    app.post("/chat/", GUEST, said).await.assert_error(401, "Unauthorized");
    app.get(&path, GUEST).await.assert_error(401, "Unauthorized");
    assert_eq!(app.get(&path, &ada).await.json()["title"], "Trains");
    assert_eq!(app.count("chats"), 0);
}

#[actix_web::test]
async fn a_title_is_one_line_and_an_id_is_a_number() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for title in [json!("a\nb"), json!("x".repeat(201)), json!(7)] {
        let answer = app.post("/conversations/", &token, json!({ "title": title })).await;
        answer.assert_error(400, "Invalid title");
    }
    for id in [json!("1"), json!(1.5), json!(-1), json!(i64::MAX)] {
        let answer = app.post("/chat/", &token, json!({ "message": "hi", "conversation_id": id })).await;
        answer.assert_error(400, "Invalid conversation_id");
    }
}

#[rstest]
#[actix_web::test]
async fn the_model_gets_the_earlier_messages_of_the_same_conversation_only(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &["--upstream-system-prompt", "Be kind."]).await else {
        return;
    };
    let id = start(&app, &token, "").await;
    for (number, message) in ["one", "two"].iter().enumerate() {
        upstream.next(answer(&format!("answer {number}"), 9, 3));
        let said = json!({ "message": message, "conversation_id": id });
        app.post("/chat/", &token, said).await.assert_status(201);
    }
    app.chat(&token, "three").await.assert_status(201);
    let sent = |number: usize| -> Value { upstream.requests()[number].body["messages"].clone() };
    let system = json!({ "role": "system", "content": "Be kind." });
    assert_eq!(
        sent(1),
        json!([
            system,
            { "role": "user", "content": "one" },
            { "role": "assistant", "content": "answer 0" },
            { "role": "user", "content": "two" },
        ])
    );
    assert_eq!(
        sent(2),
        json!([system, { "role": "user", "content": "three" }]),
        "a chat outside the conversation has no context"
    );
}

#[actix_web::test]
async fn the_oldest_messages_are_dropped_first_when_the_context_is_full() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--upstream-context", "40"]).await else { return };
    let id = start(&app, &token, "").await;
    for message in ["first", "second", "third"] {
        let said = json!({ "message": format!("{message} {}", ".".repeat(30)), "conversation_id": id });
        app.post("/chat/", &token, said).await.assert_status(201);
    }
    let sent = upstream.requests()[2].body["messages"].to_string();
    assert!(sent.contains("second") && sent.contains("third") && !sent.contains("first"), "{sent}");
}

#[actix_web::test]
async fn the_same_message_outside_the_conversation_is_another_request() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let id = start(&app, &token, "").await;
    let ask = async |body: Value| {
        app.request("POST", "/chat/").bearer(&token).header("Idempotency-Key", "one").json(&body).send().await
    };
    ask(json!({ "message": "hi", "conversation_id": id })).await.assert_status(201);
    ask(json!({ "message": "hi" })).await.assert_status(422);
    let again = ask(json!({ "message": "hi", "conversation_id": id })).await;
    again.assert_status(201).assert_header("idempotency-replayed", "true");
}

#[actix_web::test]
async fn a_user_has_at_most_1000_conversations_and_making_one_counts_as_a_message() {
    let Some(app) =
        TestApp::spawn_with(On::Sqlite, &["--throttle", "on", "--requests-per-minute", "3"]).await
    else {
        return;
    };
    let token = app.user("ada").await;
    let first = start(&app, &token, "first").await;
    app.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
         INSERT INTO conversations (user_id, title, created_at)
         SELECT user_id, i, created_at FROM conversations, n WHERE id = {first}"
    ));
    app.post("/conversations/", &token, json!({})).await.assert_error(400, "Invalid conversation");
    app.delete(&format!("/conversations/{first}/"), &token).await.assert_status(204);
    app.post("/conversations/", &token, json!({})).await.assert_status(201);
    app.post("/conversations/", &token, json!({})).await.assert_error(429, "Too many requests");
}

/// Returns the texts that the upstream got with its last request.
fn last_texts(upstream: &ScriptedUpstream) -> Vec<String> {
    let body = upstream.requests().last().unwrap().body.clone();
    let messages = body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[actix_web::test]
async fn a_turn_without_text_is_left_out_with_its_question(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let id = start(&app, &token, "").await;
    let say = async |message: &str| {
        app.post("/chat/", &token, json!({ "message": message, "conversation_id": id })).await
    };
    upstream.next(answer("Hello", 3, 2));
    say("one").await.assert_status(201);
    // The model used up its limit by thinking.
    let thought = chunk(json!({ "reasoning_content": "Hm" }), None);
    upstream.next([head(), thought, finish("length"), usage(3, 9), done()]);
    assert_eq!(say("two").await.assert_status(201).json()["response"], "");
    say("three").await.assert_status(201);
    assert_eq!(last_texts(&upstream), ["one", "Hello", "three"]);
}

#[actix_web::test]
async fn each_chinese_character_counts_as_a_token() {
    let flags = ["--upstream-context", "2000"];
    let Some((app, upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    let id = start(&app, &token, "").await;
    let long = "你".repeat(624);
    for _ in 0..4 {
        let said = app.post("/chat/", &token, json!({ "message": long, "conversation_id": id })).await;
        said.assert_status(201);
    }
    assert_eq!(last_texts(&upstream).len(), 5, "two earlier turns of about 630 tokens fit");
}

#[actix_web::test]
async fn a_conversation_that_is_too_long_is_sent_once_more_with_half_of_its_turns() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let id = start(&app, &token, "").await;
    let say = async |message: &str| {
        app.post("/chat/", &token, json!({ "message": message, "conversation_id": id })).await
    };
    for message in ["one", "two", "three", "four"] {
        say(message).await.assert_status(201);
    }
    let too_long = r#"{"error":{"message":"This model's maximum context length is 10 tokens."}}"#;
    let in_stream = || vec![head(), event(too_long), Step::End];
    for script in [status(400, &[], too_long), in_stream()] {
        let before = upstream.requests().len();
        upstream.next(script);
        say("five").await.assert_status(201);
        assert_eq!(upstream.requests().len(), before + 2);
        let texts = last_texts(&upstream);
        assert!(texts.len() < 9 && texts.len() > 1 && texts.last().unwrap() == "five", "{texts:?}");
    }
    let balance = app.balance(&token).await;
    for _ in 0..2 {
        upstream.next(in_stream());
    }
    say("six").await.assert_error(400, "The conversation is too long for the model");
    assert_eq!(app.balance(&token).await, balance);
}
