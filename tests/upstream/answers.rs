use serde_json::json;

use super::*;
use crate::support::upstream::{Signal, answer, chunk, done, event, finish, head, role, status, text, usage};

/// A stream that ends by closing its connection: its bytes are on the wire exactly as they are here.
fn raw(body: &[u8]) -> Vec<Step> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    vec![Step::Raw([head, body.to_vec()].concat()), Step::Close]
}

#[tokio::test]
async fn an_answer_comes_part_by_part_as_it_is_sent() {
    let scripted = ScriptedUpstream::start();
    let signal = Signal::default();
    scripted.next([
        head(),
        role(),
        text("Hel"),
        signal.step(),
        text("lo"),
        signal.step(),
        finish("stop"),
        done(),
    ]);
    let upstream = client(&scripted);
    let mut answering = ask(&upstream).await.unwrap();
    assert!(!next(&mut answering).await.unwrap().unwrap().brings_something(), "who speaks");
    for part in ["Hel", "lo"] {
        assert_eq!(next(&mut answering).await.unwrap().unwrap(), Piece::of_text(part));
        assert_eq!(upstream.health().in_flight, 1);
        signal.release();
    }
    let last = next(&mut answering).await.unwrap().unwrap();
    assert_eq!(last.finish_reason.as_deref(), Some("stop"));
    assert_eq!(next(&mut answering).await, Ok(None));
    assert_eq!(upstream.health().in_flight, 0, "its place is free before it is dropped");
    assert!(upstream.health().last_success.is_some());
}

#[tokio::test]
async fn the_last_usage_that_can_be_true_counts() {
    let reported = Usage::reported(7, 2);
    assert_eq!(after(answer("Hello you", 7, 2)).await, good("Hello you", reported));
    let in_each = |completion: i64, delta, reason: Option<&str>| {
        let choice = json!({ "delta": delta, "finish_reason": reason });
        event(
            &json!({ "choices": [choice], "usage": { "prompt_tokens": 7, "completion_tokens": completion } })
                .to_string(),
        )
    };
    let script =
        [head(), in_each(1, json!({ "content": "a" }), None), in_each(2, json!({}), Some("stop")), done()];
    assert_eq!(after(script).await, good("a", reported));
    let absurd = event(r#"{"choices":[],"usage":{"prompt_tokens":1e999,"completion_tokens":-1}}"#);
    let script = [head(), text("a"), finish("stop"), usage(7, 2), absurd, usage(-1, i64::MAX), done()];
    assert_eq!(after(script).await, good("a", reported));
    let none = [head(), text("a"), finish("stop"), done()];
    assert_eq!(after(none).await, good("a", None));
}

#[tokio::test]
async fn nothing_is_read_after_done() {
    let script =
        [head(), text("a"), finish("stop"), done(), text("b"), usage(1, 1), event("nonsense"), Step::Hang];
    assert_eq!(after(script).await, good("a", None));
    let without_a_reason = [head(), text("a"), done(), Step::Reset];
    assert_eq!(after(without_a_reason).await, Heard { finish_reason: None, ..good("a", None) });
}

#[tokio::test]
async fn after_the_reason_any_end_is_good() {
    for end in [Step::End, Step::Close, Step::Reset] {
        // The reset must not overtake what was sent before it.
        let scripted = ScriptedUpstream::start();
        let signal = Signal::default();
        scripted.next([head(), text("a"), finish("stop"), usage(3, 1), signal.step(), end]);
        let upstream = client(&scripted);
        let mut answering = ask(&upstream).await.unwrap();
        assert_eq!(next(&mut answering).await, Ok(Some(Piece::of_text("a"))));
        assert!(next(&mut answering).await.unwrap().unwrap().finish_reason.is_some());
        signal.release();
        assert_eq!(next(&mut answering).await, Ok(None));
        assert_eq!(answering.usage(), Usage::reported(3, 1));
        assert_eq!(upstream.health().failures_in_a_row, 0);
    }
}

#[tokio::test]
async fn silence_after_the_reason_is_a_good_end_too() {
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), text("a"), finish("stop"), usage(3, 1), Step::Hang]);
    let upstream = Upstream::new(UpstreamSettings { idle_timeout: SHORT, ..settings(&scripted) }).unwrap();
    assert_eq!(hear(&upstream).await, good("a", Usage::reported(3, 1)));
}

#[tokio::test]
async fn a_stream_without_an_empty_line_at_its_end_is_whole() {
    let body =
        b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]";
    assert_eq!(after(raw(body)).await, good("a", None));
    let body = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
    assert_eq!(after(raw(body)).await, good("a", None));
}

#[tokio::test]
async fn comments_other_fields_and_any_line_ends_are_taken() {
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"ä😀"}}]}"#;
    let (before, behind) = chunk.split_at(chunk.find("\"delta").unwrap());
    let body = format!(
        "\u{feff}: hi\r\n\r\nevent: x\rid: 1\rdata:{before}\rdata: {behind}\r\r:\n\nretry: 5\r\ndata: {}\r\n\r\ndata:[DONE]\n\n",
        r#"{"choices":[{"index":1,"delta":{"content":"no"}},{"delta":{"content":null},"finish_reason":"stop"}]}"#
    );
    assert_eq!(after(raw(body.as_bytes())).await, good("ä😀", None));
}

#[tokio::test]
async fn chunks_may_be_split_anywhere() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"ä😀\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n";
    let scripted = ScriptedUpstream::start();
    let script =
        std::iter::once(head()).chain(body.bytes().map(|byte| Step::Chunk(vec![byte]))).chain([Step::End]);
    scripted.next(script);
    assert_eq!(hear(&client(&scripted)).await, good("ä😀", None));
    // One packet after the other, with the cut inside a character.
    let signal = Signal::default();
    let (first, second) = body.as_bytes().split_at(body.find('😀').unwrap() + 2);
    scripted.next([
        head(),
        Step::Chunk(first.to_vec()),
        signal.step(),
        Step::Chunk(second.to_vec()),
        Step::End,
    ]);
    let upstream = client(&scripted);
    let (heard, ()) = tokio::join!(hear(&upstream), async {
        signal.reached().await;
        signal.release();
    });
    assert_eq!(heard, good("ä😀", None));
}

#[tokio::test]
async fn tool_calls_and_logprobs_are_passed_on() {
    let delta = json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{" } }] });
    let scripted = ScriptedUpstream::start();
    let with_logprobs =
        json!({ "choices": [{ "delta": { "content": "a" }, "logprobs": { "content": [1] } }] });
    scripted.next([
        head(),
        chunk(delta.clone(), None),
        event(&with_logprobs.to_string()),
        finish("tool_calls"),
        done(),
    ]);
    let mut answering = ask(&client(&scripted)).await.unwrap();
    assert_eq!(next(&mut answering).await.unwrap().unwrap().delta, *delta.as_object().unwrap());
    assert_eq!(next(&mut answering).await.unwrap().unwrap().logprobs, Some(json!({ "content": [1] })));
    let last = next(&mut answering).await.unwrap().unwrap();
    assert_eq!(last.finish_reason.as_deref(), Some("tool_calls"));
}

#[tokio::test]
async fn a_whole_completion_is_taken_as_one_part() {
    let completion = json!({ "object": "chat.completion", "choices": [{ "index": 0, "finish_reason": "stop",
        "message": { "role": "assistant", "content": "Hello" } }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2 } });
    let json = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(
        after(status(200, &json, &completion.to_string())).await,
        good("Hello", Usage::reported(3, 2))
    );
    for other in [json!({ "hello": "there" }), json!([])] {
        assert_eq!(after(status(200, &json, &other.to_string())).await, bad("", Failure::NotAnAnswer));
    }
    assert_eq!(after(status(200, &json, r#"{"error":"x"}"#)).await, bad("", Failure::ErrorInAnswer));
    let cut = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{completion}"
    );
    assert_eq!(after([Step::Raw(cut.into()), Step::Close]).await, bad("", Failure::CutShort));
}
