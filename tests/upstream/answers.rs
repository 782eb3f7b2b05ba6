//! Complete answers, in every form that upstreams send.

use serde_json::json;

use tollgate::responder::FinishReason;

use super::*;
use crate::support::upstream::{Signal, answer, chunk, done, event, finish, head, role, status, text, usage};

/// Returns a script that sends exactly this body, without chunks, and ends it by closing the
/// connection.
fn raw(body: &[u8]) -> Vec<Step> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    vec![Step::Raw([head, body.to_vec()].concat()), Step::Close]
}

#[tokio::test]
async fn an_answer_arrives_part_by_part_as_it_is_sent() {
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
    let mut stream = ask(&upstream).await.unwrap();
    for part in ["Hel", "lo"] {
        assert_eq!(next(&mut stream).await.unwrap().unwrap(), Piece::of_text(part));
        assert_eq!(upstream.health().in_flight, 1);
        signal.release();
    }
    let last = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(last.finish_reason, Some(FinishReason::Stop));
    assert_eq!(next(&mut stream).await, Ok(None));
    assert_eq!(upstream.health().in_flight, 0, "the place must be free before the answer is dropped");
    assert!(upstream.health().last_success.is_some());
}

#[tokio::test]
async fn the_last_plausible_usage_counts() {
    let reported = Usage::reported(7, 2);
    assert_eq!(outcome_of(answer("Hello you", 7, 2)).await, complete("Hello you", reported));
    let in_each = |completion: i64, delta, reason: Option<&str>| {
        let choice = json!({ "delta": delta, "finish_reason": reason });
        event(
            &json!({ "choices": [choice], "usage": { "prompt_tokens": 7, "completion_tokens": completion } })
                .to_string(),
        )
    };
    let script =
        [head(), in_each(1, json!({ "content": "a" }), None), in_each(2, json!({}), Some("stop")), done()];
    assert_eq!(outcome_of(script).await, complete("a", reported));
    let absurd = event(r#"{"choices":[],"usage":{"prompt_tokens":1e999,"completion_tokens":-1}}"#);
    let script = [head(), text("a"), finish("stop"), usage(7, 2), absurd, usage(-1, i64::MAX), done()];
    assert_eq!(outcome_of(script).await, complete("a", reported));
    let none = [head(), text("a"), finish("stop"), done()];
    assert_eq!(outcome_of(none).await, complete("a", None));
}

#[tokio::test]
async fn nothing_is_read_after_done() {
    let script =
        [head(), text("a"), finish("stop"), done(), text("b"), usage(1, 1), event("nonsense"), Step::Hang];
    assert_eq!(outcome_of(script).await, complete("a", None));
}

#[tokio::test]
async fn after_the_finish_reason_any_end_is_complete() {
    for end in [Step::End, Step::Close, Step::Reset] {
        // Without this, the reset could overtake what was sent before it.
        let scripted = ScriptedUpstream::start();
        let signal = Signal::default();
        scripted.next([head(), text("a"), finish("stop"), usage(3, 1), signal.step(), end]);
        let upstream = client(&scripted);
        let mut stream = ask(&upstream).await.unwrap();
        assert_eq!(next(&mut stream).await, Ok(Some(Piece::of_text("a"))));
        assert!(next(&mut stream).await.unwrap().unwrap().finish_reason.is_some());
        signal.release();
        assert_eq!(next(&mut stream).await, Ok(None));
        assert_eq!(stream.usage(), Usage::reported(3, 1));
        assert_eq!(upstream.health().failures_in_a_row, 0);
    }
}

#[tokio::test]
async fn silence_after_the_finish_reason_completes_the_answer_too() {
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), text("a"), finish("stop"), usage(3, 1), Step::Hang]);
    let upstream = Upstream::new(UpstreamSettings { idle_timeout: SHORT, ..settings(&scripted) }).unwrap();
    assert_eq!(make_call(&upstream).await, complete("a", Usage::reported(3, 1)));
}

#[tokio::test]
async fn a_stream_without_a_final_empty_line_is_complete() {
    let body =
        b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]";
    assert_eq!(outcome_of(raw(body)).await, complete("a", None));
    let body = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
    assert_eq!(outcome_of(raw(body)).await, complete("a", None));
}

#[tokio::test]
async fn comments_other_fields_and_any_line_ends_are_accepted() {
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"ä😀"}}]}"#;
    let (before, behind) = chunk.split_at(chunk.find("\"delta").unwrap());
    let body = format!(
        "\u{feff}: hi\r\n\r\nevent: x\rid: 1\rdata:{before}\rdata: {behind}\r\r:\n\nretry: 5\r\ndata: {}\r\n\r\ndata:[DONE]\n\n",
        r#"{"choices":[{"index":1,"delta":{"content":"no"}},{"delta":{"content":null},"finish_reason":"stop"}]}"#
    );
    assert_eq!(outcome_of(raw(body.as_bytes())).await, complete("ä😀", None));
}

#[tokio::test]
async fn chunks_may_be_split_anywhere() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"ä😀\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n";
    let scripted = ScriptedUpstream::start();
    let script =
        std::iter::once(head()).chain(body.bytes().map(|byte| Step::Chunk(vec![byte]))).chain([Step::End]);
    scripted.next(script);
    assert_eq!(make_call(&client(&scripted)).await, complete("ä😀", None));
    // Two packets, split inside a character.
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
    let (outcome, ()) = tokio::join!(make_call(&upstream), async {
        signal.reached().await;
        signal.release();
    });
    assert_eq!(outcome, complete("ä😀", None));
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
    let mut stream = ask(&client(&scripted)).await.unwrap();
    assert_eq!(json!(next(&mut stream).await.unwrap().unwrap().delta), delta);
    assert_eq!(next(&mut stream).await.unwrap().unwrap().logprobs, Some(json!({ "content": [1] })));
    let last = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(last.finish_reason, Some(FinishReason::ToolCalls));
}

#[tokio::test]
async fn a_plain_completion_is_accepted_as_one_part() {
    let completion = json!({ "object": "chat.completion", "choices": [{ "index": 0, "finish_reason": "stop",
        "message": { "role": "assistant", "content": "Hello" } }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2 } });
    let json = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(
        outcome_of(status(200, &json, &completion.to_string())).await,
        complete("Hello", Usage::reported(3, 2))
    );
    for other in [json!({ "hello": "there" }), json!([])] {
        assert_eq!(
            outcome_of(status(200, &json, &other.to_string())).await,
            failed("", Failure::NotAnAnswer)
        );
    }
    assert_eq!(outcome_of(status(200, &json, r#"{"error":"x"}"#)).await, failed("", Failure::ErrorInAnswer));
    let cut = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{completion}"
    );
    assert_eq!(outcome_of([Step::Raw(cut.into()), Step::Close]).await, failed("", Failure::CutShort));
}

#[tokio::test]
async fn the_body_shows_its_form_where_the_content_type_is_missing_or_wrong() {
    let chunk = r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let whole = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
    let stream = format!(": hi\n\ndata: {chunk}\n\n");
    for content_type in [None, Some("text/plain"), Some("application/json"), Some("text/event-stream")] {
        let headers: Vec<_> = content_type.map(|value| ("content-type", value)).into_iter().collect();
        for body in [stream.as_str(), whole] {
            assert_eq!(
                outcome_of(status(200, &headers, body)).await,
                complete("a", None),
                "{content_type:?} {body}"
            );
        }
    }
}
