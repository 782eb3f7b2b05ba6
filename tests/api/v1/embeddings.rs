//! `POST /v1/embeddings`: vectors, their own price, and what is stored of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use tollgate::administration::finish_all;
use tollgate::metering::forget_embeddings;

use super::super::upstream::spawn;
use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::{Step, answer, embeddings, status};

async fn embed(app: &TestApp, token: &str, more: Value) -> Answer {
    app.post("/v1/embeddings", token, body(more)).await
}

async fn embed_with_key(app: &TestApp, token: &str, more: Value, key: &str) -> Answer {
    let request = app.request("POST", "/v1/embeddings").bearer(token).header("Idempotency-Key", key);
    request.json(&body(more)).send().await
}

fn body(more: Value) -> Value {
    let mut body = json!({ "model": "m", "input": "hello there" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn json_of(body: &str) -> Vec<Step> {
    status(200, &[("content-type", "application/json")], body)
}

#[rstest]
#[actix_web::test]
async fn an_answer_has_the_protocols_shape(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(embeddings(&[&[0.25, -1.5], &[1e-7, 3.0]], 8));
    let more = json!({ "input": ["hello", "there"], "dimensions": 2, "user": "bob", "input_type": "query" });
    let answer = embed(&app, &token, more).await;
    answer
        .assert_status(200)
        .assert_header("x-tokens-charged", "100")
        .assert_header("x-tokens-remaining", "3900");
    let wanted = json!({
        "object": "list", "model": "m", "usage": { "prompt_tokens": 8, "total_tokens": 8 },
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.25, -1.5] },
                 { "object": "embedding", "index": 1, "embedding": [1e-7, 3.0] }],
    });
    assert_eq!(answer.json(), wanted);
    let request = upstream.request(0).await;
    let asked = json!({ "model": "m", "input": ["hello", "there"], "dimensions": 2, "user": "bob",
        "encoding_format": "float" });
    assert_eq!((request.path.as_str(), request.body), ("/v1/embeddings", asked));
}

#[actix_web::test]
async fn base64_has_the_same_numbers() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(embeddings(&[&[0.25, -1.5]], 2));
    let answer = embed(&app, &token, json!({ "encoding_format": "base64" })).await;
    let bytes = [0.25_f32.to_le_bytes(), (-1.5_f32).to_le_bytes()].concat();
    assert_eq!(answer.json()["data"][0]["embedding"], STANDARD.encode(bytes));
    assert_eq!(upstream.request(0).await.body["encoding_format"], "float");
}

#[rstest]
#[actix_web::test]
async fn embeddings_have_a_price_of_their_own(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    app.sql(
        "UPDATE models SET base_price = 50, prompt_price = 7, completion_price = 9, embedding_price = 500",
    );
    upstream.next(embeddings(&[&[1.0]], 5));
    embed(&app, &token, json!({})).await.assert_status(200).assert_header("x-tokens-charged", "3");
    // A token for each byte, those around the text, and those of a template.
    assert_eq!(app.number("SELECT charge AS value FROM chats"), (11 + 8 + 64 + 1) / 2);
    assert_eq!(app.balance(&token).await, 3997);
    // Without a usage it is estimated: 11 bytes are 3 tokens.
    upstream.next(json_of(r#"{"data":[{"embedding":[1],"index":0}]}"#));
    embed(&app, &token, json!({})).await.assert_header("x-tokens-charged", "2");
    let estimated = app.text(
        "SELECT CAST(prompt_tokens AS TEXT) || ' ' || CAST(completion_tokens AS TEXT) AS value
        FROM chats ORDER BY id DESC LIMIT 1",
    );
    assert_eq!(estimated.as_deref(), Some("3 0"));
    // Without a price of their own they cost what a message costs.
    app.sql("UPDATE models SET embedding_price = NULL");
    upstream.next(embeddings(&[&[1.0]], 1000));
    embed(&app, &token, json!({ "input": "x".repeat(4000) })).await.assert_header("x-tokens-charged", "57");
    app.sql("UPDATE models SET base_price = NULL, prompt_price = NULL, completion_price = NULL");
    upstream.next(embeddings(&[&[1.0]], 1000));
    embed(&app, &token, json!({})).await.assert_header("x-tokens-charged", "100");
}

#[rstest]
#[actix_web::test]
async fn damaged_answers_are_refunded(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    app.sql("UPDATE models SET embedding_price = 1000 WHERE name = 'vendor/other'");
    let two = |data: &str| json_of(&format!(r#"{{"data":[{data}],"usage":{{"prompt_tokens":3}}}}"#));
    let first = r#"{"index":0,"embedding":[1,2]}"#;
    let cut =
        |head: &str| vec![Step::Raw(format!("{head}\r\n\r\n{{\"data\":[{first},").into_bytes()), Step::Close];
    let too_large = format!(r#"{{"index":0,"embedding":[1{}]}}"#, ",1".repeat(1 << 20));
    for (script, reason) in [
        (two(first), "unreadable"),
        (two(&format!("{first},{first}")), "unreadable"),
        (two(&format!(r#"{first},{{"index":7,"embedding":[1,2]}}"#)), "unreadable"),
        (two(&format!(r#"{first},{{"index":1,"embedding":[1]}}"#)), "unreadable"),
        (two(&format!(r#"{first},{{"index":1,"embedding":[1,NaN]}}"#)), "unreadable"),
        (two(&format!(r#"{first},{{"index":1,"embedding":[1,null]}}"#)), "unreadable"),
        (two(&format!(r#"{first},{{"index":1,"embedding":[1,1e39]}}"#)), "unreadable"),
        (two(&too_large), "too_large"),
        (cut("HTTP/1.1 200 OK\r\ncontent-type: application/json"), "cut_short"),
        (json_of("[[1,2],[1,2]]"), "not_an_answer"),
        (json_of(r#"{"error":{"message":"gossip"}}"#), "error_in_answer"),
        (answer("Hello", 3, 2), "not_an_answer"),
        (status(500, &[], "gossip"), "server_error"),
    ] {
        for model in ["m", "vendor/other"] {
            upstream.next(script.clone());
            let more = json!({ "model": model, "input": ["a", "b"] });
            let answer = embed_with_key(&app, &token, more, "one").await;
            let error = answer.assert_status(502).json()["error"].clone();
            assert_eq!(error["code"], "responder_failed", "{reason}");
            assert!(!answer.text().contains("gossip"));
            assert_eq!(app.balance(&token).await, 4000, "{reason}");
            let failure = app.text("SELECT failure AS value FROM chats ORDER BY id DESC LIMIT 1");
            assert_eq!(failure.as_deref(), Some(reason), "{model}");
        }
    }
    assert_eq!(app.count("idempotency_keys"), 0, "the key is free");
    assert_eq!(app.count("embedding_answers"), 0);
    upstream.next(embeddings(&[&[1.0], &[2.0]], 3));
    embed_with_key(&app, &token, json!({ "input": ["a", "b"] }), "one").await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_small_answer_is_stored_for_its_key(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(embeddings(&[&[0.1, -1.5]], 2));
    let first = embed_with_key(&app, &token, json!({}), "one").await;
    first.assert_status(200);
    let again = embed_with_key(&app, &token, json!({}), "one").await;
    again.assert(200, &first.text()).assert_header("idempotency-replayed", "true");
    // The numbers are the same in another form.
    let other = embed_with_key(&app, &token, json!({ "encoding_format": "base64" }), "one").await;
    assert!(other.assert_status(200).json()["data"][0]["embedding"].is_string());
    let reused = embed_with_key(&app, &token, json!({ "input": "other" }), "one").await;
    assert_eq!(reused.assert_status(422).json()["error"]["code"], "idempotency_key_reused");
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
    upstream.next(embeddings(&[&[0.1]], 2));
    embed(&app, &token, json!({})).await.assert_status(200);
    assert_eq!(app.count("embedding_answers"), 1, "without a key nothing is stored");
}

#[rstest]
#[actix_web::test]
async fn a_large_answer_is_not_stored_and_its_retry_says_so(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    // 64 vectors of 4 KiB are as many as are stored.
    let vector = vec![0.123_456_78_f32; 1024];
    let vectors = |count: usize| embeddings(&vec![&vector[..]; count], 100);
    let inputs = |count: usize| json!({ "input": vec!["text"; count] });
    upstream.next(vectors(64));
    upstream.next(vectors(65));
    let stored = embed_with_key(&app, &token, inputs(64), "stored").await;
    stored.assert_status(200);
    embed_with_key(&app, &token, inputs(64), "stored").await.assert(200, &stored.text());
    let large = embed_with_key(&app, &token, inputs(65), "large").await;
    assert_eq!(large.assert_status(200).json()["data"].as_array().unwrap().len(), 65);
    let again = embed_with_key(&app, &token, inputs(65), "large").await;
    again.assert_status(409).assert_header("x-should-retry", "false");
    let error = &again.json()["error"];
    assert_eq!(
        (&error["code"], &error["type"]),
        (&json!("answer_not_kept"), &json!("invalid_request_error"))
    );
    assert!(error["message"].as_str().unwrap().contains("Nothing was charged now"), "{error}");
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3800, 2));
}

#[rstest]
#[actix_web::test]
async fn of_a_users_stored_embeddings_the_oldest_are_deleted_first(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let eve = app.user("eve").await;
    for (key, token) in [("one", &token), ("two", &token), ("hers", &eve)] {
        upstream.next(embeddings(&[&[0.1]], 2));
        embed_with_key(&app, token, json!({}), key).await.assert_status(200);
    }
    // As if 64 MiB had been stored between the first and the second.
    app.sql("UPDATE embedding_answers SET bytes_before = bytes_before + 67108864 WHERE bytes_before > 0");
    upstream.next(embeddings(&[&[0.1]], 2));
    embed_with_key(&app, &token, json!({}), "three").await.assert_status(200);
    for (key, token, status) in
        [("one", &token, 409), ("two", &token, 200), ("three", &token, 200), ("hers", &eve, 200)]
    {
        embed_with_key(&app, token, json!({}), key).await.assert_status(status);
    }
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3700, 4));
}

#[rstest]
#[actix_web::test]
async fn stored_embeddings_are_deleted_after_a_day_and_with_their_user(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    for key in ["one", "two", "three"] {
        upstream.next(embeddings(&[&[0.1]], 2));
        embed_with_key(&app, &token, json!({}), key).await.assert_status(200);
    }
    let first = "chat_id = (SELECT min(chat_id) FROM embedding_answers)";
    app.sql(&format!("UPDATE embedding_answers SET created_at = '2026-01-01 00:00:00' WHERE {first}"));
    assert_eq!(forget_embeddings(&app.services.db).await.unwrap(), 1);
    assert_eq!(app.count("embedding_answers"), 2);
    let root = app.superuser("root").await;
    let id = app.id_of("ada");
    root.submit(&format!("/admin/users/{id}/anonymise/"), &[("name", "ada")]).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    assert_eq!(app.count("embedding_answers"), 0);
    assert_eq!(app.count("chats WHERE message <> ''"), 0);
}

/// Embeddings are on the ledger like everything else, and in no list of the user's chats.
#[rstest]
#[actix_web::test]
async fn embeddings_are_never_in_lists_of_chats(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    app.post("/chat/", &token, json!({ "message": "quartz" })).await.assert_status(201);
    for (script, code) in
        [(embeddings(&[&[0.1]], 2), 200), (status(500, &[], ""), 502), (embeddings(&[&[0.1]], 2), 200)]
    {
        upstream.next(script);
        embed(&app, &token, json!({ "input": ["xylophone quartz"] })).await.assert_status(code);
    }
    upstream.next(embeddings(&[&[0.1]], 2));
    let last = embed(&app, &token, json!({ "input": vec![5; 1024] })).await;
    let id = last.header("x-chat-id").unwrap().to_owned();
    let chats = app.get("/chats/", &token).await.json();
    let listed: Vec<_> =
        chats["chats"].as_array().unwrap().iter().map(|chat| chat["message"].clone()).collect();
    assert_eq!(listed, ["quartz"]);
    assert_eq!(app.get("/conversations/", &token).await.json()["conversations"], json!([]));
    let shown = app.get(&format!("/chats/{id}/"), &token).await.assert_status(200).json();
    assert_eq!((&shown["message"], &shown["response"]), (&json!("1,024 tokens"), &Value::Null));
    assert_eq!(shown["usage"]["prompt_tokens"], 2);
    let entries = app.get("/ledger/", &token).await.json()["entries"].as_array().unwrap().len();
    assert_eq!(entries, 7, "the opening, five charges and a refund");
    let root = app.superuser("root").await;
    root.get(&format!("/admin/chats/{id}/")).await.assert_shows(&[
        "1,024 tokens",
        "The answer consists of vectors, which are not shown.",
        "Prompt tokens 2",
    ]);
    root.get("/admin/ledger/?user=ada").await.assert_shows(&[&format!("#{id}")]);
    app.assert_sound();
}

#[actix_web::test]
async fn what_is_not_offered_is_named_with_a_reason() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    for (more, field, reason) in [
        (json!({ "input": [] }), "input", "none of them empty"),
        (json!({ "input": ["a", 5] }), "input", "give a text"),
        (json!({ "input": vec!["a"; 2049] }), "input", "2048"),
        (json!({ "encoding_format": "int8" }), "encoding_format", "base64"),
        (json!({ "dimensions": 0 }), "dimensions", "whole number"),
    ] {
        let error = embed(&app, &token, more).await.assert_status(400).json()["error"].clone();
        assert_eq!((&error["param"], &error["code"]), (&json!(field), &json!("invalid_field")));
        assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
    }
    assert_eq!(upstream.requests().len(), 0);
    // What the upstream lacks is refunded, and says nothing of the model's health.
    upstream.next(status(501, &[], ""));
    let error = embed(&app, &token, json!({})).await.assert_status(400).json()["error"].clone();
    assert_eq!((&error["param"], &error["code"]), (&json!("model"), &json!("invalid_field")));
    upstream.next(status(400, &[], r#"{"error":{"message":"maximum context length is 512 tokens"}}"#));
    let error = embed(&app, &token, json!({})).await.assert_status(400).json()["error"].clone();
    assert_eq!((&error["param"], &error["code"]), (&json!("input"), &json!("context_length_exceeded")));
    assert_eq!(app.balance(&token).await, 4000);
    let health = app.services.toll.upstream_health().unwrap();
    assert_eq!((health.failures_in_a_row, health.models[0].fault), (0, None));
}

/// LangChain sends tokens: more of them than a body may otherwise have values.
#[actix_web::test]
async fn many_tokens_are_one_request() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let inputs = vec![vec![100_000; 100]; 1000];
    upstream.next(embeddings(&vec![&[0.5_f32][..]; 1000], 100_000));
    let answer = embed(&app, &token, json!({ "input": inputs })).await;
    assert_eq!(answer.assert_status(200).json()["data"].as_array().unwrap().len(), 1000);
    assert_eq!(app.text("SELECT message AS value FROM chats").as_deref(), Some("100,000 tokens"));
}

#[rstest]
#[actix_web::test]
async fn the_dummy_makes_vectors_of_length_1(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let ask = async |more: Value| embed(&app, &token, more).await.assert_status(200).json();
    let made = ask(json!({ "input": ["a", "b", "a"], "dimensions": 3 })).await;
    let vectors: Vec<Vec<f64>> = (0..3)
        .map(|index| serde_json::from_value(made["data"][index]["embedding"].clone()).unwrap())
        .collect();
    assert_eq!((vectors[0].len(), &vectors[0]), (3, &vectors[2]));
    assert_ne!(vectors[0], vectors[1]);
    let length: f64 = vectors[0].iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    assert_eq!(made["model"], "dummy");
    assert_eq!(app.balance(&token).await, 3900);
}
