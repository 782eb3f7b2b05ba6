//! Answers that are replayed under their `Idempotency-Key` are the same, byte for byte. Comments
//! and pings that keep a connection alive depend on the time, and are left out.

use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::ask::{STREAMS, WAYS, Way};
use super::clients;
use super::world::World;
use crate::support::On;
use crate::support::dice::Dice;
use crate::support::http::{Answer, Client};
use crate::support::upstream::{Step, done, event, head, in_time, usage};

/// Pieces of texts, thoughts and names, some of several bytes a character.
const PIECES: [&str; 10] = ["Hel", "lo", " ", "\n\n", "é", "東京", "🎈", "data: x", "\"{}\\", "event: y\n"];

/// What tool calls have as their arguments, in total.
const ARGUMENTS: &str = r#"{"city":"東京","days":[1,2],"note":"a \"b\" \\ c"}"#;

/// Rounds for each way to ask.
const ROUNDS: usize = 6;

/// What an answer may have in a dialect.
#[derive(Clone, Copy)]
struct Features {
    choices: u64,
    thoughts: bool,
    tools: bool,
    logprobs: bool,
}

fn features(way: Way) -> Features {
    let is_conversation = !matches!(way, Way::Completions | Way::CompletionsStream);
    let has_choices = way.path().ends_with("completions");
    Features {
        choices: if has_choices { 3 } else { 1 },
        thoughts: is_conversation,
        tools: is_conversation && way.is_v1(),
        logprobs: has_choices,
    }
}

/// Returns the request of a round, with everything that its answer may have.
fn request(way: Way, choices: u64, has_logprobs: bool) -> Value {
    let mut body = way.body();
    let fields = body.as_object_mut().unwrap();
    let schema = json!({ "type": "object", "properties": {} });
    let more = match way {
        Way::Chat | Way::ChatStream => json!({}),
        Way::V1 | Way::V1Stream => json!({ "n": choices, "logprobs": has_logprobs,
            "tools": [{ "type": "function", "function": { "name": "weather", "parameters": schema } }] }),
        Way::Responses | Way::ResponsesStream => {
            json!({ "tools": [{ "type": "function", "name": "weather", "parameters": schema }] })
        }
        Way::Messages | Way::MessagesStream => json!({ "max_tokens": 4000,
            "thinking": { "type": "enabled", "budget_tokens": 1024 },
            "tools": [{ "name": "weather", "input_schema": schema }] }),
        Way::Completions | Way::CompletionsStream => {
            json!({ "n": choices, "logprobs": has_logprobs.then_some(1) })
        }
    };
    fields.extend(more.as_object().unwrap().clone());
    body
}

fn piece(dice: &mut Dice) -> &'static str {
    PIECES[dice.pick(0..PIECES.len() as u64) as usize]
}

/// Cuts a text into up to four parts.
fn parts(dice: &mut Dice, text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut cuts: Vec<usize> = (0..3).map(|_| dice.pick(0..characters.len() as u64) as usize).collect();
    cuts.extend([0, characters.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| characters[cut[0]..cut[1]].iter().collect()).collect()
}

/// The log probabilities of a part, as chat completions and completions have them.
fn logprobs(way: Way, text: &str) -> Value {
    match way {
        Way::Completions | Way::CompletionsStream => json!({ "tokens": [text], "token_logprobs": [-0.25],
            "top_logprobs": [{ text: -0.25 }], "text_offset": [0] }),
        _ => json!({ "content": [{ "token": text, "logprob": -0.25, "bytes": null, "top_logprobs": [] }],
            "refusal": null }),
    }
}

/// Returns the parts of one choice: deltas with their log probabilities, and at last the reason.
fn choice(dice: &mut Dice, way: Way, has_logprobs: bool) -> Vec<(Value, Value, Value)> {
    let features = features(way);
    let mut parts_of_choice = vec![(json!({ "role": "assistant", "content": "" }), Value::Null)];
    let count = dice.pick(0..4);
    if features.thoughts {
        for _ in 0..count {
            parts_of_choice.push((json!({ "reasoning_content": piece(dice) }), Value::Null));
        }
    }
    for _ in 0..dice.pick(1..6) {
        let text = piece(dice);
        let logprobs = if has_logprobs { logprobs(way, text) } else { Value::Null };
        parts_of_choice.push((json!({ "content": text }), logprobs));
    }
    let calls = if features.tools { dice.pick(0..3) } else { 0 };
    for index in 0..calls {
        let id = format!("call_{index}");
        let function = json!({ "name": "weather", "arguments": "" });
        let begin =
            json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] });
        parts_of_choice.push((begin, Value::Null));
        for part in parts(dice, ARGUMENTS) {
            let call = json!({ "tool_calls": [{ "index": index, "function": { "arguments": part } }] });
            parts_of_choice.push((call, Value::Null));
        }
    }
    let reason = if calls > 0 { "tool_calls" } else { ["stop", "length"][dice.pick(0..2) as usize] };
    let last = (json!({}), Value::Null, json!(reason));
    let unfinished = parts_of_choice.into_iter().map(|(delta, logprobs)| (delta, logprobs, Value::Null));
    unfinished.chain([last]).collect()
}

/// Returns a random answer. Its choices take turns at random, and several events may come at once.
fn script(dice: &mut Dice, way: Way, choices: u64, has_logprobs: bool) -> Vec<Step> {
    let mut rest: Vec<_> =
        (0..choices).map(|index| (index, choice(dice, way, has_logprobs).into_iter())).collect();
    let mut events: Vec<Step> = Vec::new();
    while !rest.is_empty() {
        let turn = dice.pick(0..rest.len() as u64) as usize;
        let (index, parts) = &mut rest[turn];
        match parts.next() {
            Some((delta, logprobs, reason)) => {
                let choice =
                    json!({ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason });
                events.push(event(&json!({ "id": "1", "choices": [choice] }).to_string()));
            }
            None => drop(rest.remove(turn)),
        }
    }
    if dice.pick(0..3) > 0 {
        events.push(usage(3, 2));
    }
    events.push(done());
    let mut steps = vec![head()];
    for event in events {
        match (steps.last_mut(), event) {
            (Some(Step::Chunk(bytes)), Step::Chunk(more)) if dice.pick(0..3) == 0 => bytes.extend(more),
            (_, event) => steps.push(event),
        }
    }
    steps.push(Step::End);
    steps
}

fn send(world: &World, way: Way, body: &Value, token: &str, key: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", authorization.as_str()),
        ("Idempotency-Key", key),
    ];
    let mut client = Client::new(world.server.address());
    client.send("POST", way.path(), &headers, body.to_string().as_bytes()).unwrap()
}

/// Returns a body without what keeps a connection alive.
fn without_keep_alives(text: &str) -> String {
    let is_one = |event: &&str| event.starts_with(':') || event.starts_with("event: ping\n");
    text.split_inclusive("\n\n").filter(|event| !is_one(event)).collect()
}

#[rstest]
fn a_replay_is_the_same_byte_for_byte_in_every_dialect_plain_and_streamed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let flags = ["--opening-tokens", "1000000", "--upstream-max-output", "5000"];
    let Some(world) = World::start(on, &flags) else { return };
    let mut dice = Dice::new();
    let mut calls = 0;
    for way in WAYS {
        let token = world.server.user(&format!("{way:?}"));
        for round in 0..ROUNDS {
            let features = features(way);
            let choices = dice.pick(1..features.choices + 1);
            let has_logprobs = features.logprobs && dice.pick(0..2) == 1;
            let body = request(way, choices, has_logprobs);
            let script = script(&mut dice, way, choices, has_logprobs);
            world.upstream.next(script.clone());
            let key = format!("key-{round}");
            let first = send(&world, way, &body, &token, &key);
            let sent = script.iter().filter_map(|step| match step {
                Step::Chunk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            });
            let context = format!("{way:?}: {body}\n{}", sent.collect::<String>());
            assert_eq!(first.status, way.status(), "{context}\n{}", first.text());
            assert_eq!(first.header("Idempotency-Replayed"), None);
            for _ in 0..2 {
                let again = send(&world, way, &body, &token, &key);
                assert_eq!(again.header("Idempotency-Replayed"), Some("true"), "{context}");
                for name in ["X-Chat-Id", "Content-Type"] {
                    assert_eq!(again.header(name), first.header(name), "{context}");
                }
                assert_eq!(again.status, first.status, "{context}");
                assert_eq!(
                    without_keep_alives(&again.text()),
                    without_keep_alives(&first.text()),
                    "{context}"
                );
            }
            calls += 1;
        }
    }
    assert_eq!(world.upstream.requests().len(), calls, "a stored answer is not requested again");
    world.close();
}

/// Returns the body of a response that was sent in chunks, as far as it arrived.
fn dechunked(response: &[u8]) -> Vec<u8> {
    let end = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).position(|part| part == mark);
    let head = end(response, b"\r\n\r\n").unwrap();
    let (mut rest, mut body) = (&response[head + 4..], Vec::new());
    while let Some(line) = end(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let data = &rest[line + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    body
}

/// What the client had received is at the beginning of what it gets again.
#[rstest]
#[tokio::test]
async fn a_client_that_disconnected_gets_the_same_bytes_again_and_then_an_end(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    for (request, way) in STREAMS.into_iter().enumerate() {
        let delta = |delta: Value| {
            event(&json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }).to_string())
        };
        let mut script = vec![head()];
        if features(way).thoughts {
            script.push(delta(json!({ "reasoning_content": "hm" })));
        }
        script.extend(["Hel", "lo ", "東京", " last-word"].map(|text| delta(json!({ "content": text }))));
        script.push(Step::Hang);
        world.upstream.next(script);
        let user = format!("{way:?}");
        let token = world.server.user(&user);
        let mut stream = clients::send(&world, way, &token, "key").await;
        let mut received = Vec::new();
        while !String::from_utf8_lossy(&received).contains("last-word") {
            assert!(in_time("the last word", stream.read_buf(&mut received)).await.unwrap() > 0);
        }
        drop(stream);
        world.upstream.until_client_is_gone(request).await;
        assert_eq!(world.ended(&user).state, "cancelled");
        let received = String::from_utf8(dechunked(&received)).unwrap();
        // The last event may have been cut.
        let whole = received.rfind("\n\n").map_or("", |end| &received[..end + 2]);
        let ledger = world.ledger(&user);
        let mut replays = (0..2).map(|_| way.send(world.server.address(), &token, Some("key")));
        let (again, more) = (replays.next().unwrap(), replays.next().unwrap());
        assert_eq!(again.header("X-Chat-State"), Some("cancelled"), "{way:?}");
        let (again, more) = (again.text(), more.text());
        assert!(
            without_keep_alives(&again).starts_with(&without_keep_alives(whole)),
            "{way:?}: {whole}\n{again}"
        );
        assert_eq!(without_keep_alives(&again), without_keep_alives(&more), "{way:?}");
        assert_eq!(world.ledger(&user), ledger);
    }
    world.close();
}
