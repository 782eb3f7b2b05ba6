//! Answers with little text and much of everything else. All bytes are limited before they are
//! parsed.

use serde_json::{Value, json};

use super::*;
use crate::support::upstream::{chunk, event, finish, head, status, text, usage};

/// Repeats a step forever. Sends many at a time, because one at a time takes long.
fn forever(step: Step) -> Step {
    let Step::Chunk(bytes) = step else { panic!("not a chunk") };
    many(&bytes)
}

/// Sends these bytes forever, 10,000 or more at a time.
fn many(bytes: &[u8]) -> Step {
    Step::Forever(bytes.repeat(1 + 10_000 / bytes.len()))
}

fn stream(then: Step) -> Vec<Step> {
    vec![head(), text("a"), then]
}

/// Returns an event with an additional field.
fn field(name: &str, value: Value) -> Step {
    event(&json!({ "choices": [{ "delta": { "content": "" } }], name: value }).to_string())
}

/// Checks that a call fails, and that its connection is closed.
async fn assert_ends(script: Vec<Step>, failure: Failure) {
    let scripted = ScriptedUpstream::start();
    scripted.next(script);
    let outcome = make_call(&client(&scripted)).await;
    assert_eq!(outcome.end, Err(failure), "{outcome:?}");
    scripted.until_client_is_gone(0).await;
}

#[tokio::test]
async fn an_endless_stream_is_cut_whatever_it_contains() {
    let large = "x".repeat(100_000);
    for endless in [
        many(b": comment\n\n"),
        many(b"\n"),
        many(b"\r\n\r\n"),
        many(b"event: ping\nid: 1\n\n"),
        forever(chunk(json!({}), None)),
        forever(chunk(json!({ "role": "assistant" }), None)),
        forever(chunk(json!({ "content": "" }), None)),
        forever(event(r#"{"choices":[]}"#)),
        forever(usage(1, 1)),
        forever(field("unknown", json!(large))),
        forever(field("id", json!(large))),
        forever(field("usage", json!({ "prompt_tokens": 1, "completion_tokens": 1, "x": large }))),
        forever(chunk(json!({ "role": large }), None)),
        Step::Forever(b"\n".to_vec()),
    ] {
        assert_ends(stream(endless), Failure::TooLarge).await;
    }
}

#[tokio::test]
async fn an_event_is_limited_in_bytes_and_values() {
    let too_long = "x".repeat(300_000);
    let values = "0,".repeat(20_000) + "0";
    let calls: Vec<Value> = (0..5000).map(|index| json!({ "index": index })).collect();
    for event in [
        event(&format!(r#"{{"choices":[],"x":"{too_long}"}}"#)),
        event(&format!(r#"{{"choices":[],"x":[{values}]}}"#)),
        event(&format!(r#"{{"choices":[],"usage":[{values}]}}"#)),
        event(&format!(r#"{{"choices":[{values}]}}"#)),
        event(&format!(r#"{{"choices":[{{"delta":{{"x":{}}}}}]}}"#, "[".repeat(100_000))),
        chunk(json!({ "tool_calls": calls }), None),
        finish(&"x".repeat(1000)),
        finish(&too_long),
        many(b"x"),
        many(b"data: x\n"),
    ] {
        assert_ends(stream(event), Failure::Unreadable).await;
    }
}

#[tokio::test]
async fn heavy_log_probabilities_are_left_out_of_their_part() {
    let top: Vec<Value> =
        (0..1500).map(|_| json!({ "token": "a", "logprob": -0.5, "bytes": [97] })).collect();
    let choice = json!({ "delta": { "content": "b" }, "logprobs": { "content": top } });
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), event(&json!({ "choices": [choice] }).to_string()), finish("stop"), Step::End]);
    let mut stream = ask(&client(&scripted)).await.unwrap();
    let part = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(part.text(), "b");
    assert_eq!(part.logprobs, None);
    assert_eq!(
        next(&mut stream)
            .await
            .unwrap()
            .unwrap()
            .finish_reason
            .map(|reason| reason.as_str().to_owned())
            .as_deref(),
        Some("stop")
    );
    assert_eq!(next(&mut stream).await, Ok(None));
}

#[tokio::test]
async fn a_flood_after_the_finish_reason_does_not_affect_the_answer() {
    let flood = many(b": comment\n\n");
    assert_eq!(
        outcome_of([head(), text("a"), finish("stop"), usage(3, 1), flood]).await,
        complete("a", Usage::reported(3, 1))
    );
}

#[tokio::test]
async fn a_plain_answer_is_limited_in_bytes_and_values() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for endless in [" ".repeat(1000), "[".repeat(1000), "{\"a\":".repeat(1000)] {
        let script = vec![Step::Raw(HEAD.into()), Step::Forever(endless.into_bytes())];
        assert_ends(script, Failure::TooLarge).await;
    }
    let values = "0,".repeat(20_000) + "0";
    let message = format!(r#"{{"choices":[{{"message":{{"content":"a","x":[{values}]}}}}]}}"#);
    let outcome = outcome_of(status(200, &[("content-type", "application/json")], &message)).await;
    assert_eq!(outcome, failed("", Failure::NotAnAnswer));
}

#[tokio::test]
async fn endless_heads_are_cut_and_not_retried() {
    let header = format!("x: {}\r\n", "y".repeat(1000));
    let flood = |start: &str, again: &str| {
        vec![Step::Raw([start, again.repeat(2000).as_str()].concat().into_bytes())]
    };
    for mut script in [
        flood("HTTP/1.1 200 OK\r\n", &header),
        flood("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", "a: b\r\n"),
    ] {
        script.push(Step::Hang);
        assert_ends(script, Failure::ConnectionLost).await;
    }
    let scripted = ScriptedUpstream::start();
    let continues = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    scripted.next([Step::RawForever(continues.into_bytes())]);
    let upstream =
        Upstream::new(UpstreamSettings { first_byte_timeout: SHORT, ..settings(&scripted) }).unwrap();
    assert_eq!(make_call(&upstream).await, failed("", Failure::FirstByteTimeout));
}

#[tokio::test]
async fn endless_trailers_and_chunk_sizes_are_cut() {
    let trailers = "x: y\r\n".repeat(100_000);
    let script = [head(), text("a"), Step::Raw(format!("0\r\n{trailers}").into_bytes()), Step::Hang];
    assert_ends(script.to_vec(), Failure::CutShort).await;
    let sizes = [head(), text("a"), Step::Raw(vec![b'1'; 100_000]), Step::Hang];
    assert_ends(sizes.to_vec(), Failure::CutShort).await;
    let extensions = format!("5;{}", "x".repeat(1_000_000));
    let extensions = [head(), text("a"), Step::Raw(extensions.into_bytes()), Step::Hang];
    assert_ends(extensions.to_vec(), Failure::CutShort).await;
}

/// Nothing is decompressed, so small data cannot become large.
#[tokio::test]
async fn a_compressed_answer_is_not_decompressed() {
    let bomb = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let scripted = ScriptedUpstream::start();
    scripted.next([Step::Raw(bomb.into()), Step::Chunk(vec![0x1f, 0x8b, 8, 0]), Step::End]);
    assert!(make_call(&client(&scripted)).await.end.is_err());
    assert_eq!(scripted.request(0).await.header("accept-encoding"), None);
}
