//! What users read about themselves: `/chats/`, `/ledger/`, `/me/`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::TestApp;

/// Follows the `next` links to the end, as a client does. Returns the pages.
async fn pages(app: &TestApp, token: &str, first: &str, list: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = app.get(&path, token).await;
        page.assert_status(200);
        let page = page.json();
        pages.push(page[list].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
        assert!(pages.len() < 50, "the pages never end");
    }
    pages
}

/// Two users whose chats alternate, so that a page must skip those of the other user.
async fn two_users_with_chats(on: On) -> Option<(TestApp, String)> {
    let app = TestApp::spawn(on).await?;
    let (ada, eve) = (app.user("ada").await, app.user("eve").await);
    for number in 0..7 {
        app.chat(&ada, &format!("ada {number}")).await.assert_status(201);
        app.chat(&eve, &format!("eve {number}")).await.assert_status(201);
    }
    Some((app, ada))
}

#[rstest]
#[actix_web::test]
async fn the_pages_of_chats_list_every_chat_once_newest_first(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, ada)) = two_users_with_chats(on).await else { return };
    for (first, lengths) in [
        ("/chats/", vec![7]),
        ("/chats/?limit=3", vec![3, 3, 1]),
        ("/chats?limit=7", vec![7, 0]),
        ("/chats/?limit=200&unknown=1", vec![7]),
    ] {
        let pages = pages(&app, &ada, first, "chats").await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{first}");
        let messages: Vec<_> =
            pages.concat().iter().map(|chat| chat["message"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<_> = (0..7).rev().map(|number| format!("ada {number}")).collect();
        assert_eq!(messages, expected, "{first}");
    }
}

/// Pages go by key, so something that is added at the top between two of them shifts nothing.
#[rstest]
#[actix_web::test]
async fn a_new_chat_does_not_move_the_next_page(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, ada)) = two_users_with_chats(on).await else { return };
    let first = app.get("/chats/?limit=2", &ada).await.json();
    app.chat(&ada, "in between").await.assert_status(201);
    let second = app.get(first["next"].as_str().unwrap(), &ada).await.json();
    assert_eq!(
        (&second["chats"][0]["message"], &second["chats"][1]["message"]),
        (&json!("ada 4"), &json!("ada 3"))
    );
}

#[rstest]
#[actix_web::test]
async fn an_invalid_limit_or_before_is_refused(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, ada)) = two_users_with_chats(on).await else { return };
    for path in ["/chats/", "/ledger/"] {
        for (query, error) in [
            ("limit=0", "Invalid limit"),
            ("limit=-1", "Invalid limit"),
            ("limit=201", "Invalid limit"),
            ("limit=ten", "Invalid limit"),
            ("limit=", "Invalid limit"),
            ("limit=1.5", "Invalid limit"),
            ("limit=99999999999999999999", "Invalid limit"),
            ("before=0", "Invalid before"),
            ("before=-5", "Invalid before"),
            ("before=x", "Invalid before"),
            ("before=9223372036854775808", "Invalid before"),
            ("limit=1&limit=2", "Invalid query"),
        ] {
            let answer = app.get(&format!("{path}?{query}"), &ada).await;
            assert_eq!((answer.status, answer.error().as_str()), (400, error), "{path}?{query}");
        }
        app.get(&format!("{path}?before=9223372036854775807"), &ada).await.assert_status(200);
    }
}

#[rstest]
#[actix_web::test]
async fn a_stored_chat_is_returned_in_full(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let id: i64 = app.chat(&token, "Hello").await.header("x-chat-id").unwrap().parse().unwrap();
    let chat = app.get(&format!("/chats/{id}"), &token).await.json();
    let time = chat["created_at"].as_str().unwrap();
    let expected = json!({
        "id": id, "message": "Hello", "response": "Response to Hello", "model": "dummy", "state": "complete",
        "charged": 100, "failure": null, "failure_code": null, "conversation_id": null, "endpoint": "/chat/", "usage": null, "created_at": time, "finished_at": time,
    });
    assert_eq!(chat, expected);
    assert_eq!(app.get("/chats/", &token).await.json(), json!({ "chats": [expected], "next": null }));
    let age = chrono::Utc::now() - chrono::DateTime::parse_from_rfc3339(time).unwrap().to_utc();
    assert!(time.ends_with('Z') && age.num_minutes() == 0, "{time}");
}

#[rstest]
#[actix_web::test]
async fn the_statement_has_a_running_balance_without_gaps(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, ada)) = two_users_with_chats(on).await else { return };
    for first in ["/ledger/", "/ledger?limit=3", "/ledger/?limit=1"] {
        let mut entries = pages(&app, &ada, first, "entries").await.concat();
        assert_eq!(entries.len(), 8);
        entries.reverse();
        let mut balance = 0;
        for entry in &entries {
            balance += entry["amount"].as_i64().unwrap();
            assert_eq!(entry["balance_after"], balance, "{entry}");
        }
        assert_eq!(balance, app.balance(&ada).await);
        let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
        assert!(kinds[0] == "opening" && kinds[1..].iter().all(|kind| *kind == "charge"), "{kinds:?}");
        assert!(entries[0]["chat_id"].is_null());
        let chat = app.get(&format!("/chats/{}/", entries[1]["chat_id"]), &ada).await.json();
        assert_eq!(chat["message"], "ada 0");
    }
}

#[rstest]
#[actix_web::test]
async fn me_returns_the_user_without_secrets(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("Ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    for path in ["/me/", "/me"] {
        let me = app.get(path, &token).await.json();
        let (joined, login) = (me["date_joined"].as_str().unwrap(), me["last_login"].as_str().unwrap());
        assert!(login > joined && joined.ends_with('Z'), "{me}");
        let expected = json!({
            "id": me["id"], "username": "Ada", "tokens": 3900, "held": 0,
            "date_joined": joined, "last_login": login,
        });
        assert_eq!(me, expected);
    }
}
