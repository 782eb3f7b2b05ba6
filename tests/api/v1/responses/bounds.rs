//! What chains of responses, and what is stored of them, may take.

use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::spawn;
use super::{PATH, respond};
use crate::support::On;
use crate::support::app::{TestApp, eventually};
use crate::support::upstream::{Signal, Step, done, finish, head, role, text, usage};

/// Makes a chain of so many responses, and returns the id of the last one.
async fn chain(app: &TestApp, token: &str, number: usize) -> Value {
    let mut last = Value::Null;
    for _ in 0..number {
        last = respond(app, token, json!({})).await.assert_status(200).json()["id"].clone();
    }
    app.sql(
        "UPDATE responses SET previous_chat_id =
             (SELECT max(r.chat_id) FROM responses r WHERE r.chat_id < responses.chat_id)",
    );
    last
}

#[rstest]
#[actix_web::test]
async fn a_chain_may_have_two_hundred_responses(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &["--opening-tokens", "1000000"]).await else { return };
    let last = chain(&app, &token, 200).await;
    let next = json!({ "previous_response_id": last, "store": false });
    respond(&app, &token, next).await.assert_status(200);
    let sent = upstream.requests().pop().unwrap().body["messages"].as_array().unwrap().len();
    assert_eq!(sent, 401);
    let last = respond(&app, &token, json!({ "previous_response_id": last })).await.json()["id"].clone();
    let asked = upstream.requests().len();
    let error = respond(&app, &token, json!({ "previous_response_id": last })).await;
    let error = error.assert_status(400).json()["error"].clone();
    assert_eq!(error["param"], "previous_response_id");
    assert!(error["message"].as_str().unwrap().contains("200 responses or 8 MiB"), "{error}");
    assert_eq!(upstream.requests().len(), asked);
}

#[rstest]
#[actix_web::test]
async fn a_chain_of_too_many_bytes_or_values_is_refused(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let last = chain(&app, &token, 2).await;
    let refused = async |part: &str| {
        let error = respond(&app, &token, json!({ "previous_response_id": last })).await;
        let error = error.assert_status(400).json()["error"].clone();
        assert_eq!(error["param"], "previous_response_id");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    };
    let spaces = " ".repeat(4 << 20);
    app.sql(&format!("UPDATE responses SET request = request || '{spaces}'"));
    refused("8 MiB").await;
    let items = vec![json!({ "type": "message", "role": "user", "content": "a" }); 5001];
    let request = json!({ "fields": {}, "input": items });
    app.sql(&format!("UPDATE responses SET request = '{request}'"));
    refused("40000 objects").await;
    assert_eq!((upstream.requests().len(), app.balance(&token).await), (2, 3800));
    // Half of it is allowed.
    app.sql("UPDATE responses SET previous_chat_id = NULL");
    respond(&app, &token, json!({ "previous_response_id": last })).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_chain_takes_memory_before_it_is_read_until_its_answer_has_ended(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &["--memory-budget", "16"]).await else { return };
    let last = chain(&app, &token, 2).await;
    let spaces = " ".repeat(3 << 20);
    app.sql(&format!("UPDATE responses SET request = request || '{spaces}'"));
    let next = || respond(&app, &token, json!({ "previous_response_id": last }));
    // Both take 6 MiB, three times.
    let error = next().await.assert_status(503).json();
    assert_eq!(error["error"]["type"], "server_error", "{error}");
    assert_eq!((upstream.requests().len(), app.services.memory.used()), (2, 0));
    app.sql("UPDATE responses SET previous_chat_id = NULL");
    let signal = Signal::default();
    let wait = signal.step();
    upstream.next([head(), role(), text("Hello"), wait, finish("stop"), usage(9, 3), done(), Step::End]);
    let sees_it = async {
        upstream.request(2).await;
        let used = app.services.memory.used();
        signal.release();
        used
    };
    let (answered, used) = tokio::join!(next(), sees_it);
    answered.assert_status(200);
    assert!(used >= 9 << 20, "{used} bytes");
    eventually("the memory is free", async || app.services.memory.used() == 0).await;
}

#[rstest]
#[actix_web::test]
async fn of_a_users_stored_responses_the_oldest_are_deleted_first(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, _upstream, token)) = spawn(on, &["--responses-mib", "8"]).await else { return };
    let eve = app.user("eve").await;
    let input = "a".repeat(3 << 20);
    let mut ids = Vec::new();
    for token in [&token, &eve, &token, &token] {
        let body = respond(&app, token, json!({ "input": input, "store": true })).await;
        ids.push(body.assert_status(200).json()["id"].as_str().unwrap().to_owned());
    }
    for (id, token, status) in
        [(&ids[0], &token, 404), (&ids[1], &eve, 200), (&ids[2], &token, 200), (&ids[3], &token, 200)]
    {
        app.get(&format!("{PATH}/{id}"), token).await.assert_status(status);
    }
    assert_eq!(app.count("chats"), 4, "the chats stay");
    // What the user deletes makes room once it would be among the oldest.
    app.delete(&format!("{PATH}/{}", ids[2]), &token).await.assert_status(200);
    for _ in 0..2 {
        respond(&app, &token, json!({ "input": input, "store": true })).await.assert_status(200);
    }
    assert_eq!(app.count("responses"), 3);
}

#[rstest]
#[actix_web::test]
async fn the_conversations_of_responses_do_not_count(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, _upstream, token)) = spawn(on, &[]).await else { return };
    app.sql(
        "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 999)
         INSERT INTO conversations (user_id, title, created_at)
         SELECT (SELECT id FROM users WHERE username = 'ada'), 'x', '2026-01-01 00:00:00' FROM numbers",
    );
    let start = || app.post("/conversations/", &token, json!({}));
    let chained = async || {
        let first = respond(&app, &token, json!({})).await.assert_status(200).json();
        let next = respond(&app, &token, json!({ "previous_response_id": first["id"] })).await;
        next.assert_status(200);
    };
    chained().await;
    start().await.assert_status(201);
    start().await.assert_status(400);
    chained().await;
    assert_eq!(app.count("conversations"), 1002);
    assert_eq!(app.count("conversations WHERE title = 'hi'"), 2);
}

#[rstest]
#[actix_web::test]
async fn a_conversation_of_responses_has_the_beginning_as_its_title(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, _upstream, token)) = spawn(on, &[]).await else { return };
    let input = format!("  \n{}\nmore", "ü".repeat(100));
    let first = respond(&app, &token, json!({ "input": input })).await.assert_status(200).json();
    let next = || respond(&app, &token, json!({ "previous_response_id": first["id"] }));
    next().await.assert_status(200);
    let title = app.text("SELECT title AS value FROM conversations");
    assert_eq!(title.unwrap(), "ü".repeat(60));
    // A deleted conversation stays deleted, and none takes its place.
    let list = app.get("/conversations/", &token).await.json();
    let path = format!("/conversations/{}/", list["conversations"][0]["id"]);
    app.delete(&path, &token).await.assert_status(204);
    next().await.assert_status(200);
    assert_eq!(app.count("conversations"), 1);
    assert_eq!(app.count("chats WHERE conversation_id IS NULL"), 1);
}
