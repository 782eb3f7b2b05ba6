//! Pages of lists: at most about 1 MiB, whatever `limit` says, and each links to the next.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::TestApp;

/// A page may exceed 1 MiB by one row and a few fields.
const MOST: usize = 1024 * 1024 + 300_000;

/// Follows the `next` links. Returns the ids of all rows, and the number of pages.
async fn walk(app: &TestApp, token: &str, first: &str, list: &str) -> (Vec<i64>, usize) {
    let (mut ids, mut pages, mut next) = (Vec::new(), 0, Some(first.to_owned()));
    while let Some(path) = next {
        let page = app.get(&path, token).await;
        page.assert_status(200).assert_header("content-type", "application/json");
        assert!(page.body.len() <= MOST, "{path} has {} bytes", page.body.len());
        let page: Value = page.json();
        let rows = page[list].as_array().unwrap();
        assert!(!rows.is_empty() || page["next"].is_null(), "{path} is empty but has a next page");
        ids.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
        assert!(pages < 60, "the pages never end");
    }
    (ids, pages)
}

/// Sends this message `number` times, in this conversation. Returns the ids of the chats, newest
/// first.
async fn long_chats(app: &TestApp, token: &str, number: usize, message: &str, conversation: i64) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..number {
        let body = json!({ "message": message, "conversation_id": conversation });
        let answer = app.post("/chat/", token, body).await;
        answer.assert_status(201);
        ids.insert(0, answer.header("x-chat-id").unwrap().parse().unwrap());
    }
    ids
}

#[rstest]
#[actix_web::test]
async fn a_page_ends_at_about_a_mebibyte_and_the_next_one_continues_there(
    #[values(On::Sqlite, On::Postgres)] on: On,
    // Characters of four bytes, and characters of one byte that take six in JSON.
    #[values("\u{1F680}", "\u{1}")] character: &str,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let conversation = app.post("/conversations/", &token, json!({})).await.json()["id"].as_i64().unwrap();
    let ids = long_chats(&app, &token, 12, &character.repeat(32_000), conversation).await;
    app.chat(&app.user("eve").await, "another's").await.assert_status(201);
    for first in ["/chats/?limit=200".to_owned(), format!("/conversations/{conversation}/?limit=200")] {
        let (found, pages) = walk(&app, &token, &first, "chats").await;
        assert_eq!(found, ids, "{first}");
        assert!((3..=6).contains(&pages), "{pages} pages of {first}");
    }
    let (found, pages) = walk(&app, &token, "/chats/?limit=2", "chats").await;
    assert_eq!((found, pages), (ids, 7), "a smaller limit still holds, and a full page has a next one");
}

/// The row is a chat with a stored response of more than 1 MiB.
#[rstest]
#[actix_web::test]
async fn a_row_that_is_longer_than_a_page_is_a_page_of_its_own(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for _ in 0..3 {
        app.chat(&token, "Hello").await.assert_status(201);
    }
    let long = "x".repeat(1_100_000);
    app.sql(&format!("UPDATE chats SET response = '{long}' WHERE id = (SELECT max(id) - 1 FROM chats)"));
    let (found, pages) = walk(&app, &token, "/chats/?limit=50", "chats").await;
    assert_eq!((found.len(), pages), (3, 3));
}

#[rstest]
#[actix_web::test]
async fn the_pages_of_a_statement_with_long_notes_are_limited_too(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let note = "\u{1F680}".repeat(10_000);
    // As an import may write them, but without changing the balance.
    app.damages_its_books();
    let operation = if on == On::Sqlite { "randomblob(16)" } else { "decode(md5(random()::text), 'hex')" };
    for _ in 0..40 {
        app.sql(&format!(
            "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, note, operation_id, created_at)
             SELECT user_id, 1, balance_after + 1, 'adjustment', '{note}', {operation}, created_at
             FROM ledger_entries WHERE kind = 'opening'"
        ));
    }
    let (found, pages) = walk(&app, &token, "/ledger/?limit=200", "entries").await;
    assert_eq!(found.len(), 41);
    assert!(pages >= 2, "{pages}");
}
