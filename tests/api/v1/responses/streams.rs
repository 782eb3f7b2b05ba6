use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::{data, events, spawn};
use super::{keyed, respond};
use crate::support::On;
use crate::support::app::Answer;
use crate::support::dice::Dice;
use crate::support::upstream::{Step, answer, chunk, done, finish, head, role, text, usage};

/// Checks that each event has its name and its number, and returns the events.
fn numbered(answer: &Answer) -> Vec<Value> {
    let named = events(answer);
    let data = data(answer);
    for (number, event) in data.iter().enumerate() {
        assert_eq!(
            (event["type"].as_str().unwrap(), &event["sequence_number"]),
            (named[number].0.as_str(), &json!(number))
        );
    }
    data
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap()).collect()
}

#[rstest]
#[actix_web::test]
async fn a_stream_has_the_protocols_events(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next(answer("Hello dear world", 9, 3));
    let answered = respond(&app, &token, json!({ "stream": true })).await;
    answered.assert_status(200).assert_header("x-accel-buffering", "no");
    assert_eq!(events(&answered).last().unwrap().1, "[DONE]");
    let events = numbered(&answered);
    let wanted = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&events), wanted);
    assert_eq!(
        (&events[0]["response"]["status"], &events[0]["response"]["output"]),
        (&json!("in_progress"), &json!([]))
    );
    assert_eq!(events[7]["text"], "Hello dear world");
    let last = &events.last().unwrap()["response"];
    assert_eq!((&last["status"], &last["output"][0]), (&json!("completed"), &events[9]["item"]));
    assert_eq!(last["usage"]["total_tokens"], 12);
    assert_eq!(last["id"], format!("resp_{}", answered.header("x-chat-id").unwrap()));
}

#[actix_web::test]
async fn calls_stream_their_arguments() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let call = |delta| chunk(json!({ "tool_calls": [delta] }), None);
    upstream.next([
        head(),
        role(),
        call(json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "" } })),
        call(json!({ "index": 0, "function": { "arguments": "{\"a\":" } })),
        call(json!({ "index": 0, "function": { "arguments": "1}" } })),
        finish("tool_calls"),
        usage(20, 5),
        done(),
        Step::End,
    ]);
    let events = numbered(&respond(&app, &token, json!({ "stream": true })).await);
    let wanted = [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&events), wanted);
    assert_eq!((&events[2]["item"]["name"], &events[2]["item"]["arguments"]), (&json!("f"), &json!("")));
    assert_eq!(events[5]["arguments"], "{\"a\":1}");
}

#[rstest]
#[actix_web::test]
async fn a_broken_stream_fails_and_does_not_look_complete(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.next([head(), role(), text("Hello "), text("dear "), Step::Reset]);
    let answered = respond(&app, &token, json!({ "stream": true })).await;
    let numbered = numbered(&answered);
    // Clients that overlook `response.failed` know the event before it.
    let [.., error, last] = &numbered[..] else { panic!("{answered:?}") };
    assert_eq!((&error["type"], &error["error"]["code"]), (&json!("error"), &json!("responder_failed")));
    assert_eq!(last["type"], "response.failed");
    assert_eq!(
        (&last["response"]["status"], &last["response"]["error"]["code"]),
        (&json!("failed"), &json!("responder_failed"))
    );
    assert_eq!(events(&answered).last().unwrap().1, "[DONE]");
    assert!(!answered.text().contains("response.completed"));
    assert_eq!((app.balance(&token).await, app.count("responses")), (4000, 0));
}

#[actix_web::test]
async fn an_error_before_the_first_event_has_a_status() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next([Step::Reset]);
    upstream.next([Step::Reset]);
    let answered = respond(&app, &token, json!({ "stream": true })).await;
    assert_eq!(answered.assert_status(502).json()["error"]["code"], "responder_failed");
}

#[rstest]
#[actix_web::test]
async fn a_retry_gets_the_same_events(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let thought = |text: &str| chunk(json!({ "reasoning": text }), None);
    let call =
        json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    upstream.next([
        head(),
        role(),
        thought("a"),
        text("b"),
        chunk(json!({ "tool_calls": [call] }), None),
        thought("c"),
        text("d"),
        finish("stop"),
        usage(3, 9),
        done(),
        Step::End,
    ]);
    let first = keyed(&app, &token, "one", json!({ "stream": true })).await;
    let again = keyed(&app, &token, "one", json!({ "stream": true })).await;
    again.assert_header("idempotency-replayed", "true");
    assert_eq!(again.text(), first.text());
    let whole = keyed(&app, &token, "one", json!({})).await.json();
    let events = numbered(&first);
    assert_eq!(events.last().unwrap()["response"], whole);
    let kinds: Vec<_> =
        whole["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "reasoning", "message"]);
    assert_eq!((app.balance(&token).await, upstream.requests().len()), (3900, 1));
}

/// Returns the events of a random answer: texts, thoughts, refusals and calls in any order, the
/// calls by turns.
fn random_answer(dice: &mut Dice) -> Vec<Step> {
    let mut steps = vec![head(), role()];
    let mut calls = 0_u64;
    for number in 0..dice.pick(1..13) {
        let word = format!("ü{number} ");
        let delta = match dice.pick(0..5) {
            0 => json!({ "reasoning": word }),
            1 | 2 => json!({ "content": word }),
            3 => json!({ "refusal": word }),
            _ if calls > 0 && dice.pick(0..2) == 0 => {
                let index = dice.pick(0..calls);
                json!({ "tool_calls": [{ "index": index, "function": { "arguments": word } }] })
            }
            _ => {
                calls += 1;
                let function = json!({ "name": format!("f{calls}"), "arguments": "" });
                let id = format!("c{calls}");
                json!({ "tool_calls": [{ "index": calls - 1, "id": id, "type": "function", "function": function }] })
            }
        };
        steps.push(chunk(delta, None));
    }
    // Thoughts alone are no answer.
    steps.extend([
        text("end"),
        finish(if dice.pick(0..4) == 0 { "length" } else { "stop" }),
        usage(3, 9),
        done(),
        Step::End,
    ]);
    steps
}

/// Puts the items of a stream together from its events, and checks that all that opens closes.
fn put_together(events: &[Value]) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    let mut open = std::collections::BTreeMap::new();
    let mut parts = std::collections::BTreeMap::new();
    for event in events {
        let kind = event["type"].as_str().unwrap().strip_prefix("response.").unwrap();
        let at = event["output_index"].as_u64();
        let place = at.map(|at| (at, event["content_index"].as_u64()));
        match kind.rsplit_once('.') {
            None => {}
            Some(("output_item", "added")) => {
                assert_eq!(at, Some(items.len() as u64 + open.len() as u64), "positions have no gaps");
                assert_eq!(event["item"]["status"], "in_progress");
                open.insert(at.unwrap(), event["item"]["id"].clone());
            }
            Some(("output_item", "done")) => {
                assert_eq!(open.remove(&at.unwrap()), Some(event["item"]["id"].clone()));
                assert!(parts.keys().all(|(other, _)| Some(*other) != at), "its parts are closed");
                items.push(json!([at, event["item"]]));
            }
            Some(("content_part", "added")) => {
                assert!(parts.insert(place.unwrap(), String::new()).is_none());
            }
            Some(("content_part", "done")) => {
                let text = parts.remove(&place.unwrap()).unwrap();
                let part = &event["part"];
                assert!(part["text"] == text.as_str() || part["refusal"] == text.as_str(), "{part} {text}");
            }
            Some((_, "delta")) => {
                assert_eq!(Some(&event["item_id"]), open.get(&at.unwrap()));
                let text = match event.get("content_index") {
                    Some(_) => parts.get_mut(&place.unwrap()).unwrap(),
                    None => parts.entry(place.unwrap()).or_default(),
                };
                text.push_str(event["delta"].as_str().unwrap());
            }
            Some(("function_call_arguments", "done")) => {
                let text = parts.remove(&place.unwrap()).unwrap_or_default();
                assert_eq!(event["arguments"], text.as_str());
            }
            Some((_, "done")) => {
                let field = if event["type"] == "response.refusal.done" { "refusal" } else { "text" };
                assert_eq!(event[field], parts[&place.unwrap()].as_str());
            }
            other => panic!("unknown: {other:?}"),
        }
    }
    assert!(open.is_empty() && parts.is_empty(), "all is closed");
    items.sort_by_key(|item| item[0].as_u64());
    items.into_iter().map(|mut item| item[1].take()).collect()
}

#[actix_web::test]
async fn items_open_and_close_in_whatever_order_the_model_writes() {
    let flags = ["--opening-tokens", "1000000", "--requests-per-minute", "0"];
    let Some((app, upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    let mut dice = Dice::new();
    for number in 0..60 {
        upstream.next(random_answer(&mut dice));
        let key = format!("key-{number}");
        let first = keyed(&app, &token, &key, json!({ "stream": true })).await;
        let events = numbered(first.assert_status(200));
        let last = &events.last().unwrap()["response"];
        assert_eq!(json!(put_together(&events)), last["output"]);
        let ends = ["completed", "incomplete", "failed"];
        let count = types(&events).iter().filter(|kind| ends.contains(kind)).count();
        assert_eq!(
            (count, events.last().unwrap()["type"].as_str().unwrap()),
            (1, format!("response.{}", last["status"].as_str().unwrap()).as_str())
        );
        assert_eq!(keyed(&app, &token, &key, json!({ "stream": true })).await.text(), first.text());
        assert_eq!(&keyed(&app, &token, &key, json!({})).await.json(), last);
        let stored = app.get(&format!("/v1/responses/{}", last["id"].as_str().unwrap()), &token).await;
        assert_eq!(&stored.json(), last);
    }
}

#[actix_web::test]
async fn thoughts_are_a_summary_if_one_is_wanted() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let thought = |text: &str| chunk(json!({ "reasoning": text }), None);
    upstream.next([
        head(),
        role(),
        thought("a"),
        thought("b"),
        text("c"),
        finish("stop"),
        usage(3, 9),
        done(),
        Step::End,
    ]);
    let more = json!({ "stream": true, "reasoning": { "summary": "auto" } });
    let events = numbered(&keyed(&app, &token, "one", more.clone()).await);
    let wanted = [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ];
    assert_eq!(types(&events)[2..9], wanted);
    let part = json!({ "type": "summary_text", "text": "ab" });
    assert_eq!((&events[6]["text"], &events[6]["summary_index"]), (&json!("ab"), &json!(0)));
    assert_eq!(events[7]["part"], part);
    let last = &events.last().unwrap()["response"];
    assert_eq!((&last["output"][0]["summary"], &last["output"][0]["content"]), (&json!([part]), &json!([])));
    assert_eq!(last["output"][0], events[8]["item"]);
    let stored = app.get(&format!("/v1/responses/{}", last["id"].as_str().unwrap()), &token).await;
    assert_eq!(&stored.json(), last);
}
