use rstest::rstest;
use serde_json::{Value, json};
use tollgate::account::forget_responses;

use super::super::super::upstream::{data, spawn};
use super::{PATH, keyed, respond};
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::answer;

#[rstest]
#[actix_web::test]
async fn a_stored_response_is_returned_as_it_was_until_it_is_deleted(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let first = respond(&app, &token, json!({ "metadata": { "a": "b" }, "instructions": "Be kind." })).await;
    let path = format!("{PATH}/{}", first.json()["id"].as_str().unwrap());
    assert_eq!(app.get(&path, &token).await.assert_status(200).json(), first.json());
    let items = app.get(&format!("{path}/input_items"), &token).await.assert_status(200).json();
    assert_eq!(items["data"][0]["content"], json!([{ "type": "input_text", "text": "hi" }]));
    assert_eq!((&items["first_id"], &items["data"][0]["id"]), (&items["last_id"], &items["first_id"]));
    let other = app.user("eve").await;
    for answered in [app.get(&path, &other).await, app.delete(&path, &other).await] {
        assert_eq!(answered.assert_status(404).json()["error"]["code"], "not_found");
    }
    app.get(&format!("{path}?stream=true"), &token).await.assert_status(400);
    let deleted = app.delete(&path, &token).await.assert_status(200).json();
    assert_eq!(deleted, json!({ "id": first.json()["id"], "object": "response", "deleted": true }));
    for answered in [app.get(&path, &token).await, app.delete(&path, &token).await] {
        answered.assert_status(404);
    }
    assert_eq!(app.get("/chats/", &token).await.json()["chats"][0]["message"], "hi", "it was paid for");
}

/// The stored time counts: a response may be looked up, or replayed, much later than it was made.
#[rstest]
#[actix_web::test]
async fn the_time_of_completion_is_the_same_whenever_a_response_is_looked_up(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, _upstream, token)) = spawn(on, &[]).await else { return };
    for more in [json!({}), json!({ "stream": true })] {
        let key = more.to_string();
        let completed_at = |answered: &Answer| match more["stream"].as_bool() {
            None => answered.json()["completed_at"].clone(),
            Some(_) => {
                let events = data(answered);
                assert_eq!(events[0]["response"]["completed_at"], Value::Null);
                events.last().unwrap()["response"]["completed_at"].clone()
            }
        };
        let first = keyed(&app, &token, &key, more.clone()).await;
        let id = first.header("x-chat-id").unwrap().to_owned();
        let finished = app.get(&format!("/chats/{id}/"), &token).await.json()["finished_at"].clone();
        let finished = chrono::DateTime::parse_from_rfc3339(finished.as_str().unwrap()).unwrap();
        assert_eq!(completed_at(&first), json!(finished.timestamp()));
        app.sql(&format!("UPDATE chats SET finished_at = '2040-01-02 03:04:05' WHERE id = {id}"));
        let later = json!(2_209_086_245_i64);
        let stored = app.get(&format!("{PATH}/resp_{id}"), &token).await;
        assert_eq!(stored.json()["completed_at"], later);
        let again = keyed(&app, &token, &key, more.clone()).await;
        assert_eq!(completed_at(again.assert_header("idempotency-replayed", "true")), later);
    }
}

#[actix_web::test]
async fn nothing_is_stored_that_should_not_be() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &["--store-responses", "off"]).await else {
        return;
    };
    let body = respond(&app, &token, json!({})).await.assert_status(200).json();
    assert_eq!(body["store"], false);
    let refused = respond(&app, &token, json!({ "store": true })).await.assert_status(400).json();
    assert_eq!(refused["error"]["param"], "store");
    assert!(refused["error"]["message"].as_str().unwrap().contains("--store-responses"));
    assert_eq!(app.count("responses"), 0);
    // The second step of a client that takes its items for stored.
    let reference = json!({ "type": "item_reference", "id": body["output"][0]["id"] });
    let input = json!([{ "role": "user", "content": "hi" }, reference]);
    let error = respond(&app, &token, json!({ "input": input })).await.assert_status(400).json();
    assert_eq!(error["error"]["param"], "input");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("--store-responses off") && message.contains("\"store\": false"), "{message}");
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let strange = json!({ "input": [{ "type": "item_reference", "id": "rs_x" }] });
    let error = respond(&app, &token, strange).await.assert_status(400).json();
    assert!(error["error"]["message"].as_str().unwrap().contains("\"store\": false"), "{error}");
    let body = respond(&app, &token, json!({ "store": false })).await.assert_status(200).json();
    assert_eq!(body["store"], false);
    let path = format!("{PATH}/{}", body["id"].as_str().unwrap());
    app.get(&path, &token).await.assert_status(404);
    assert_eq!(app.count("responses"), 0);
}

#[rstest]
#[actix_web::test]
async fn the_dummy_stores_responses_too(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let first = respond(&app, &token, json!({ "model": "dummy" })).await.assert_status(200).json();
    assert_eq!(first["output"][0]["content"][0]["text"], "Response to hi");
    let path = format!("{PATH}/{}", first["id"].as_str().unwrap());
    assert_eq!(app.get(&path, &token).await.assert_status(200).json(), first);
    let next = respond(&app, &token, json!({ "previous_response_id": first["id"] })).await;
    next.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn old_responses_are_deleted_and_their_chats_stay(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for _ in 0..2 {
        respond(&app, &token, json!({ "model": "dummy" })).await.assert_status(200);
    }
    app.sql("UPDATE chats SET created_at = '2026-01-01 00:00:00' WHERE id = (SELECT min(id) FROM chats)");
    assert_eq!(forget_responses(&app.services.db, 30).await.unwrap(), 1);
    assert_eq!(forget_responses(&app.services.db, 30).await.unwrap(), 0);
    assert_eq!((app.count("responses"), app.count("chats")), (1, 2));
    app.sql("UPDATE chats SET created_at = '2026-01-01 00:00:00'");
    assert_eq!(forget_responses(&app.services.db, 30).await.unwrap(), 1, "all chats are old");
}

#[actix_web::test]
async fn a_long_input_is_stored_only_if_the_request_asks_for_it() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &["--opening-tokens", "1000000000"]).await else {
        return;
    };
    let input = "a".repeat(300 << 10);
    let body = respond(&app, &token, json!({ "input": input })).await.assert_status(200).json();
    assert_eq!(body["store"], false);
    assert!(body["tollgate"]["notes"][0].as_str().unwrap().contains("256 KiB"));
    assert_eq!(app.count("responses"), 0);
    let body = respond(&app, &token, json!({ "input": input, "store": true })).await.json();
    assert_eq!((&body["store"], app.count("responses")), (&json!(true), 1));
    let body = respond(&app, &token, json!({ "input": input, "store": false })).await.json();
    assert!(body["tollgate"].is_null(), "nothing was left out that was wanted");
}

#[actix_web::test]
async fn the_items_of_an_input_have_pages() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let said = |number: u32| json!({ "role": "user", "content": number.to_string() });
    let input: Vec<_> = (0..25).map(said).collect();
    let body = respond(&app, &token, json!({ "input": input })).await.assert_status(200).json();
    let path = format!("{PATH}/{}/input_items", body["id"].as_str().unwrap());
    let first = app.get(&path, &token).await.assert_status(200).json();
    assert_eq!((first["data"].as_array().unwrap().len(), &first["has_more"]), (20, &json!(true)));
    let after = first["last_id"].as_str().unwrap();
    let rest = app.get(&format!("{path}?after={after}&limit=100"), &token).await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["has_more"]), (5, &json!(false)));
    assert_eq!(rest["data"][4]["content"][0]["text"], "0");
    for (query, param) in [("limit=0", "limit"), ("after=in_0_0", "after"), ("order=up", "order")] {
        let error = app.get(&format!("{path}?{query}"), &token).await.assert_status(400).json();
        assert_eq!(error["error"]["param"], param);
    }
}
