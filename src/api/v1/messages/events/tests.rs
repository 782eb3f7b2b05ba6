use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};

use super::super::write::{Stops, input, message};
use super::*;
use crate::error::Error;
use crate::models::ChatState;
use crate::responder::{Answer, AnswerBounds, FinishReason, ToolCall};

fn events(shows_thinking: bool) -> Events {
    let started = Started {
        chat_id: 7,
        model: "m".to_owned(),
        charged: 1,
        remaining: 1,
        replayed: false,
        state: ChatState::Complete,
        created_at: crate::clock::now(),
    };
    let request_id = RequestId::generate();
    let stops = Stops(Vec::new());
    Events::new(&started, Messages { shows_thinking, stops, prompt_tokens: 12, request_id })
}

fn receipt(answer: Answer) -> Receipt {
    Receipt {
        chat_id: 7,
        message: "hi".to_owned(),
        model: "m".to_owned(),
        answer,
        usage: Usage { prompt_tokens: 9, completion_tokens: 3, ..Usage::default() },
        charged: 1,
        remaining: 1,
        replayed: false,
        parts: None,
        state: ChatState::Complete,
        created_at: crate::clock::now(),
        finished_at: crate::clock::now(),
    }
}

fn text(text: &str) -> Piece {
    Piece::of_text(text)
}

fn thought(text: &str) -> Piece {
    let mut piece = Piece::default();
    piece.delta.reasoning.text = text.to_owned();
    piece
}

fn refusal(text: &str) -> Piece {
    let mut piece = Piece::default();
    piece.delta.refusal = text.to_owned();
    piece
}

/// Makes a part of the call with this index. Only its first part has its name.
fn call(index: u64, name: &str, input: &str) -> Piece {
    let mut piece = Piece::default();
    let id = if name.is_empty() { String::new() } else { format!("c{index}") };
    let (name, input) = (name.to_owned(), input.to_owned());
    piece.delta.tool_calls.push(ToolCall { index: Some(index), id, name, input, ..ToolCall::default() });
    piece
}

/// Puts parts together as the server does. Returns the answer, and what clients get of each part.
fn relayed(pieces: Vec<Piece>) -> (Answer, Vec<Piece>) {
    let mut answer = Answer::default();
    let end = Piece { finish_reason: Some(FinishReason::Stop), ..Piece::default() };
    let bounds = AnswerBounds::of(100_000);
    let news = pieces.into_iter().chain([end]).map(|piece| answer.add(piece, &bounds).unwrap()).collect();
    (answer, news)
}

/// Returns the data of the events of a whole stream.
fn stream(mut events: Events, pieces: Vec<Piece>, answer: Answer) -> Vec<Value> {
    let pieces = pieces.into_iter().map(|piece| Event::Piece(Box::new(piece)));
    let all = pieces.chain([Event::Done(Box::new(receipt(answer)))]);
    let bytes: Vec<u8> = all.flat_map(|event| events.write(event)).collect();
    let text = String::from_utf8(bytes).unwrap();
    let parse = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    };
    text.split_terminator("\n\n").map(parse).collect()
}

/// Puts the blocks of a stream together, and checks that they do not overlap.
fn content(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut is_open = false;
    for event in events {
        let index = event["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(!is_open && index == Some(blocks.len()), "{event}");
                is_open = true;
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                assert!(is_open && index == Some(blocks.len() - 1), "{event}");
                let (block, delta) = (blocks.last_mut().unwrap(), event["delta"].as_object().unwrap());
                for name in ["text", "thinking", "signature"] {
                    if let Some(part) = delta.get(name).and_then(Value::as_str) {
                        block[name] = (block[name].as_str().unwrap().to_owned() + part).into();
                    }
                }
                let part = delta.get("partial_json").and_then(Value::as_str);
                inputs.last_mut().unwrap().push_str(part.unwrap_or_default());
            }
            "content_block_stop" => {
                assert!(is_open && index == Some(blocks.len() - 1), "{event}");
                is_open = false;
            }
            _ => assert!(!is_open, "{event}"),
        }
    }
    for (block, text) in blocks.iter_mut().zip(inputs) {
        if block["type"] == "tool_use" {
            block["input"] = input(&text);
        }
    }
    blocks
}

/// Joins the texts of a type, and the inputs of all calls by their ids.
fn joined(blocks: &[Value]) -> (String, Map<String, Value>, [String; 2]) {
    let all = |field: &str| blocks.iter().filter_map(|block| block[field].as_str()).collect::<String>();
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
    let calls = calls.map(|call| (call["id"].as_str().unwrap().to_owned(), call.clone())).collect();
    let text = all("text");
    let only =
        |is_refusal: bool| text.chars().filter(|char| char.is_uppercase() == is_refusal).collect::<String>();
    (all("thinking"), calls, [only(false), only(true)])
}

fn types(blocks: &[Value]) -> Vec<&str> {
    blocks.iter().map(|block| block["type"].as_str().unwrap()).collect()
}

#[test]
fn a_stream_has_the_protocols_events() {
    let (answer, news) = relayed(vec![thought("hm"), text("Hello "), text("you")]);
    let all = stream(events(true), news, answer);
    let types: Vec<_> = all.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let wanted = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types, wanted);
    assert_eq!(all[0]["message"]["usage"]["input_tokens"], 12);
    assert_eq!(all[4]["delta"], json!({ "type": "signature_delta", "signature": "" }));
    assert_eq!(all[10]["delta"], json!({ "stop_reason": "end_turn", "stop_sequence": null }));
    assert_eq!(
        (&all[10]["usage"]["input_tokens"], &all[10]["usage"]["output_tokens"]),
        (&9.into(), &3.into())
    );
}

#[test]
fn thoughts_are_left_out_if_they_are_not_wanted() {
    let (answer, news) = relayed(vec![thought("hm"), text("Hello")]);
    let blocks = content(&stream(events(false), news, answer));
    assert_eq!(blocks, [json!({ "type": "text", "text": "Hello" })]);
}

#[test]
fn a_call_begins_at_once_when_the_one_before_it_is_complete() {
    let pieces = vec![call(0, "f", "{\"a\":"), call(0, "", "{}}"), call(1, "g", "{\"b\":")];
    let (answer, news) = relayed(pieces);
    let mut events = events(true);
    let sent: Vec<u8> =
        news.into_iter().take(3).flat_map(|piece| events.write(Event::Piece(Box::new(piece)))).collect();
    let sent = String::from_utf8(sent).unwrap();
    assert_eq!(sent.matches("content_block_start").count(), 4, "{sent}");
    assert_eq!(sent.matches("event: content_block_stop").count(), 1, "{sent}");
    drop(answer);
}

#[test]
fn calls_that_are_mixed_come_one_after_the_other() {
    let pieces = vec![
        call(0, "f", ""),
        call(1, "g", ""),
        text("So "),
        call(1, "", "{\"b\":2}"),
        call(0, "", "{\"a\":"),
        text("be it"),
        call(0, "", "1}"),
    ];
    let (answer, news) = relayed(pieces);
    let whole = json!(message(&receipt(answer.clone()), true, &Stops(Vec::new())));
    let blocks = content(&stream(events(true), news, answer));
    assert_eq!(types(&blocks), ["tool_use", "text", "tool_use", "text"]);
    assert_eq!((&blocks[0]["input"], &blocks[2]["input"]), (&json!({ "a": 1 }), &json!({ "b": 2 })));
    assert_eq!(joined(&blocks), joined(whole["content"].as_array().unwrap()));
}

#[test]
fn a_call_without_arguments_has_an_empty_input() {
    let (answer, news) = relayed(vec![call(0, "f", ""), call(1, "g", "{}")]);
    let blocks = content(&stream(events(true), news, answer));
    assert_eq!(blocks.iter().map(|block| &block["input"]).collect::<Vec<_>>(), [&json!({}), &json!({})]);
}

#[test]
fn a_stream_that_breaks_has_no_end() {
    let mut events = events(true);
    let mut sent = events.write(Event::Piece(Box::new(text("Hel")))).to_vec();
    sent.extend(events.write(Event::Failed(Error::ReadTooSlowly)));
    let sent = String::from_utf8(sent).unwrap();
    let last = sent.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: error\ndata: {\"type\":\"error\""), "{last}");
    assert!(!sent.contains("message_stop") && !sent.contains("message_delta"), "{sent}");
}

/// Cuts a text into parts of up to 5 characters.
fn cut(dice: &mut StdRng, text: &str) -> Vec<String> {
    let mut rest = text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, more) = rest.split_at(dice.random_range(1..=rest.len().min(5)));
        parts.push(part.to_owned());
        rest = more;
    }
    parts
}

/// Mixes sequences. Each keeps its own order.
fn mixed(dice: &mut StdRng, mut sequences: Vec<Vec<Piece>>) -> Vec<Piece> {
    sequences.iter_mut().for_each(|sequence| sequence.reverse());
    let mut all = Vec::new();
    loop {
        sequences.retain(|sequence| !sequence.is_empty());
        if sequences.is_empty() {
            return all;
        }
        let at = dice.random_range(0..sequences.len());
        all.extend(sequences[at].pop());
    }
}

#[test]
fn blocks_never_overlap_and_make_the_whole_answer_in_whatever_order_parts_arrive() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    for round in 0..300 {
        let mut sequences = vec![
            cut(&mut dice, "what the model says").iter().map(|part| text(part)).collect(),
            cut(&mut dice, "and thinks").iter().map(|part| thought(part)).collect(),
            cut(&mut dice, "REFUSES").iter().map(|part| refusal(part)).collect::<Vec<_>>(),
        ];
        sequences.truncate(dice.random_range(0..=3));
        for index in 0..dice.random_range(0..4_u64) {
            let input = json!({ "a": index, "b": [{ "c": "}" }, "\\\""] }).to_string();
            let input = if dice.random_bool(0.2) { String::new() } else { input };
            let mut parts = vec![call(index, &format!("f{index}"), "")];
            parts.extend(cut(&mut dice, &input).iter().map(|part| call(index, "", part)));
            sequences.push(parts);
        }
        let (answer, news) = relayed(mixed(&mut dice, sequences));
        let whole = json!(message(&receipt(answer.clone()), true, &Stops(Vec::new())));
        let whole = joined(whole["content"].as_array().unwrap());
        let live = stream(events(true), news, answer.clone());
        let pieces = answer.as_pieces();
        let replayed = stream(events(true), pieces.clone(), answer.clone());
        assert_eq!(joined(&content(&live)), whole, "seed {seed}, round {round}");
        assert_eq!(joined(&content(&replayed)), whole, "seed {seed}, round {round}, replayed");
        assert_eq!(live[..2], replayed[..2], "seed {seed}, round {round}");
        assert_eq!(stream(events(true), pieces, answer), replayed, "seed {seed}, round {round}, again");
    }
}
