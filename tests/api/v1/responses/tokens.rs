use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::spawn;
use super::{PATH, respond};
use crate::support::On;
use crate::support::app::GUEST;

#[rstest]
#[actix_web::test]
async fn the_tokens_of_an_input_are_the_bound_that_is_held(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &["--store-responses", "off"]).await else { return };
    app.sql("UPDATE models SET base_price = 0, prompt_price = 1000, completion_price = 0");
    let more = json!({ "instructions": "Be kind.", "tools": [{ "type": "function", "name": "f" }] });
    let mut body = json!({ "model": "m", "input": "hi" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let counted = app.post(&format!("{PATH}/input_tokens"), &token, body).await;
    counted.assert_status(200).assert_header("x-token-count", "upper-bound");
    let bound = counted.json()["input_tokens"].as_i64().unwrap();
    assert_eq!(counted.json(), json!({ "object": "response.input_tokens", "input_tokens": bound }));
    assert_eq!((app.count("chats"), upstream.requests().len(), app.balance(&token).await), (0, 0, 4000));
    respond(&app, &token, more).await.assert_status(200);
    assert_eq!(app.number("SELECT charge AS value FROM chats"), bound);
}

#[actix_web::test]
async fn a_count_is_refused_in_the_protocols_form() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let reference = json!([{ "type": "item_reference", "id": "msg_1_0" }]);
    for (token, body, status, param) in [
        (GUEST, json!({}), 401, Value::Null),
        (&token, json!({ "model": "m" }), 400, json!("input")),
        (&token, json!({ "model": "gpt-9", "input": "hi" }), 404, json!("model")),
        (
            &token,
            json!({ "model": "m", "input": "hi", "previous_response_id": "resp_1" }),
            400,
            json!("previous_response_id"),
        ),
        (&token, json!({ "model": "m", "input": reference }), 400, json!("input")),
    ] {
        let answer = app.post(&format!("{PATH}/input_tokens"), token, body.clone()).await;
        let error = answer.assert_status(status).json()["error"].clone();
        assert_eq!(error["param"], param, "{body}");
        assert!(error["type"].is_string() && error["code"].is_string(), "{error}");
    }
}
