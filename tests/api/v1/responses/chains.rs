use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::spawn;
use super::{PATH, respond};
use crate::support::On;
use crate::support::upstream::{
    ScriptedUpstream, Step, answer, chunk, done, finish, head, role, text, usage,
};

fn messages(upstream: &ScriptedUpstream) -> Value {
    upstream.requests().last().unwrap().body["messages"].clone()
}

#[rstest]
#[actix_web::test]
async fn a_response_continues_another_with_its_input_and_its_calls(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let call =
        json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let call = chunk(json!({ "reasoning": "hm", "tool_calls": [call] }), None);
    upstream.next([head(), role(), call, finish("tool_calls"), usage(20, 5), done(), Step::End]);
    let tools = json!([{ "type": "function", "name": "f" }]);
    let first = respond(&app, &token, json!({ "instructions": "Be kind.", "tools": tools })).await.json();
    let output = json!([{ "type": "function_call_output", "call_id": "c1", "output": "42" }]);
    upstream.next(answer("It is 42", 9, 3));
    let second = respond(
        &app,
        &token,
        json!({ "previous_response_id": first["id"], "input": output, "instructions": "Be brief." }),
    )
    .await;
    let second = second.assert_status(200).json();
    assert_eq!(second["previous_response_id"], first["id"]);
    let call = json!({ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let mut wanted = vec![
        json!({ "role": "system", "content": "Be brief." }),
        json!({ "role": "user", "content": "hi" }),
        json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        json!({ "role": "tool", "content": "42", "tool_call_id": "c1" }),
    ];
    assert_eq!(messages(&upstream), json!(wanted));
    respond(&app, &token, json!({ "previous_response_id": second["id"], "input": "why?" }))
        .await
        .assert_status(200);
    wanted.remove(0);
    wanted.push(json!({ "role": "assistant", "content": "It is 42" }));
    wanted.push(json!({ "role": "user", "content": "why?" }));
    assert_eq!(messages(&upstream), json!(wanted));
    // The three are one conversation.
    let list = app.get("/conversations/", &token).await.json();
    assert_eq!(
        (list["conversations"].as_array().unwrap().len(), &list["conversations"][0]["title"]),
        (1, &json!("hi"))
    );
    let path = format!("/conversations/{}/", list["conversations"][0]["id"]);
    assert_eq!(app.get(&path, &token).await.json()["chats"].as_array().unwrap().len(), 3);
}

#[rstest]
#[actix_web::test]
async fn only_ones_own_stored_responses_can_be_continued(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let first = respond(&app, &token, json!({})).await.json();
    let next = respond(&app, &token, json!({ "previous_response_id": first["id"] })).await.json();
    let eve = app.user("eve").await;
    let unstored = respond(&app, &token, json!({ "store": false })).await.json();
    for (token, id) in [(&eve, &first["id"]), (&token, &unstored["id"]), (&token, &json!("resp_999"))] {
        let error = respond(&app, token, json!({ "previous_response_id": id })).await;
        let error = error.assert_status(400).json()["error"].clone();
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("previous_response_not_found"), &json!("previous_response_id"))
        );
    }
    // A chain with a gap is not continued without what is missing.
    app.delete(&format!("{PATH}/{}", first["id"].as_str().unwrap()), &token).await.assert_status(200);
    respond(&app, &token, json!({ "previous_response_id": next["id"] })).await.assert_status(400);
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(app.balance(&eve).await, 4000);
}

#[actix_web::test]
async fn references_stand_for_stored_items() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(answer("Hello", 9, 3));
    let first = respond(&app, &token, json!({})).await.json();
    let reference = |id: &Value| json!({ "type": "item_reference", "id": id });
    let id = &first["output"][0]["id"];
    let input =
        json!([{ "role": "user", "content": "hi" }, reference(id), { "role": "user", "content": "and?" }]);
    let second = respond(&app, &token, json!({ "input": input })).await.assert_status(200).json();
    let wanted = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "Hello" },
        { "role": "user", "content": "and?" }]);
    assert_eq!(messages(&upstream), wanted);
    let path = format!("{PATH}/{}/input_items?order=asc", second["id"].as_str().unwrap());
    assert_eq!(app.get(&path, &token).await.json()["data"][1], first["output"][0]);
    let eve = app.user("eve").await;
    for (token, id) in
        [(&eve, id.clone()), (&token, json!("msg_1_7")), (&token, json!("rs_1_0")), (&token, json!("x"))]
    {
        let error = respond(&app, token, json!({ "input": [reference(&id)] })).await;
        assert_eq!(error.assert_status(400).json()["error"]["param"], "input", "{id}");
    }
}

#[actix_web::test]
async fn truncation_leaves_out_whole_turns_once() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let call = |id: &str| json!({ "type": "function_call", "call_id": id, "name": "f", "arguments": "{}" });
    let output = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": "1" });
    let user = |text: &str| json!({ "role": "user", "content": text });
    let input =
        json!([user("one"), call("a"), output("a"), user("two"), call("b"), output("b"), user("three")]);
    let too_long = r#"{"error":{"message":"maximum context length","code":"context_length_exceeded"}}"#;
    let refuse = || crate::support::upstream::status(400, &[], too_long);
    upstream.next(refuse());
    let error = respond(&app, &token, json!({ "input": input, "instructions": "Be kind." })).await;
    let error = error.assert_status(400).json()["error"].clone();
    assert_eq!((&error["code"], &error["param"]), (&json!("context_length_exceeded"), &json!("input")));
    upstream.next(refuse());
    upstream.next([head(), role(), text("Hello"), finish("stop"), usage(3, 2), done(), Step::End]);
    let more = json!({ "input": input, "instructions": "Be kind.", "truncation": "auto" });
    respond(&app, &token, more).await.assert_status(200);
    let sent = messages(&upstream);
    let texts: Vec<_> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap_or("call"))
        .collect();
    assert_eq!(texts, ["Be kind.", "two", "call", "1", "three"]);
}

#[actix_web::test]
async fn an_item_is_referred_to_once() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let first = respond(&app, &token, json!({})).await.json();
    let reference = json!({ "type": "item_reference", "id": first["output"][0]["id"] });
    let error = respond(&app, &token, json!({ "input": [reference, reference] })).await;
    let error = error.assert_status(400).json()["error"].clone();
    assert_eq!(error["param"], "input");
    assert!(error["message"].as_str().unwrap().contains("once"), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[actix_web::test]
async fn a_chain_begins_with_one_message_of_the_system_and_needs_no_input() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(answer("Hello", 9, 3));
    let input = json!([{ "role": "developer", "content": "Be brief." }, { "role": "user", "content": "hi" }]);
    let first = respond(&app, &token, json!({ "input": input })).await.assert_status(200).json();
    for input in [json!([]), Value::Null] {
        let more = json!({ "previous_response_id": first["id"], "input": input, "instructions": "Be kind." });
        respond(&app, &token, more).await.assert_status(200);
        let wanted = json!([{ "role": "system", "content": "Be kind.\n\nBe brief." },
            { "role": "user", "content": "hi" }, { "role": "assistant", "content": "Hello" }]);
        assert_eq!(messages(&upstream), wanted);
    }
}
