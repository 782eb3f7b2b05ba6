use super::*;
use crate::responder::OutputLimit;
use serde_json::json;

fn said(chunk: Value) -> Result<Said, Failure> {
    read(b"", chunk.to_string().as_bytes())
}

fn parts(chunk: Value) -> Vec<Piece> {
    said(chunk).unwrap().parts.into_iter().map(|part| part.piece).collect()
}

fn usage_in_chunk(usage: &str) -> Option<Usage> {
    let chunk = format!(r#"{{"choices":[],"usage":{usage}}}"#);
    let said = read(b"", chunk.as_bytes()).unwrap();
    assert_eq!(said.parts, []);
    said.usage
}

fn parsed(question: &Question, form: RequestForm) -> Value {
    serde_json::from_slice(&body_of(question, form)).unwrap()
}

#[test]
fn our_own_fields_win_over_options() {
    let mut question = Question::of_message("m", "hi", 7);
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("n", json!(5)),
        ("model", json!("dear")),
        ("messages", json!([])),
        ("max_tokens", json!(1_000_000)),
        ("max_completion_tokens", json!(1_000_000)),
        ("stream", json!(false)),
        ("stream_options", json!({ "include_usage": false })),
    ] {
        question.options.insert(name.to_owned(), value);
    }
    let wanted = json!({ "temperature": 0.5, "model": "m", "messages": [{ "role": "user", "content": "hi" }],
        "max_tokens": 7, "stream": true, "stream_options": { "include_usage": true } });
    let usual = RequestForm::usual(OutputLimit::MaxTokens);
    assert_eq!(parsed(&question, usual), wanted);
    let other = parsed(&question, RequestForm::usual(OutputLimit::MaxCompletionTokens));
    assert_eq!((&other["max_completion_tokens"], other.get("max_tokens")), (&json!(7), None));
    question.choices = 3;
    let whole = parsed(&question, RequestForm { streams: false, ..usual });
    assert_eq!(
        (&whole["n"], &whole["stream"], whole.get("stream_options")),
        (&json!(3), &json!(false), None)
    );
    let without_usage = parsed(&question, RequestForm { asks_for_usage: false, ..usual });
    assert_eq!((&without_usage["stream"], without_usage.get("stream_options")), (&json!(true), None));
}

#[test]
fn each_choice_is_a_part() {
    let chunk = json!({ "id": "x", "choices": [
        { "index": 1, "delta": { "content": "b" } },
        { "index": "0", "delta": { "content": "a" }, "finish_reason": null, "logprobs": { "content": [] } },
    ], "usage": null, "error": null });
    let first = Piece { choice: 1, ..Piece::of_text("b") };
    let second = Piece { logprobs: Some(json!({ "content": [] })), ..Piece::of_text("a") };
    assert_eq!(parts(chunk), [first, second]);
    assert!(read(b"", b" [DONE] ").unwrap().is_done);
}

#[test]
fn what_carries_nothing_is_skipped() {
    for data in [
        "",
        "ping",
        "[]",
        "null",
        "5",
        "{}",
        "[PING]",
        r#"{"type":"ping"}"#,
        r#"{"choices":null}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[null]}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"index":0,"finish_reason":null,"content_filter_offsets":{"check_offset":3}}]}"#,
        r#"{"choices":[{"index":0,"delta":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":[]},"finish_reason":""}]}"#,
        r#"{"error":null,"choices":[]}"#,
    ] {
        assert_eq!(read(b"", data.as_bytes()), Ok(Said::default()), "{data}");
    }
}

#[test]
fn what_is_not_of_the_protocol_cannot_be_read() {
    for data in [
        "{",
        "{\"choices\":5}",
        "{\"choices\":[5]}",
        "{\"choices\":[{\"delta\":5}]}",
        "{\"choices\":[{\"index\":\"a\",\"delta\":{}}]}",
        "{\"choices\":[{\"delta\":{\"content\":5}}]}",
        "{\"choices\":[{\"delta\":{},\"finish_reason\":5}]}",
        "[DONE]x",
        "{\"choices\":[]} {}",
        "lo\"}}]}",
    ] {
        assert_eq!(read(b"", data.as_bytes()), Err(Failure::Unreadable), "{data}");
    }
    let values = format!("{{\"choices\":[],\"x\":[{}0]}}", "0,".repeat(VALUES_OF_AN_EVENT));
    assert_eq!(read(b"", values.as_bytes()), Err(Failure::Unreadable));
    assert_eq!(read(b"", "[".repeat(100_000).as_bytes()), Err(Failure::Unreadable));
    assert_eq!(read(b"", format!("{{\"x\":{}", "[".repeat(100_000)).as_bytes()), Err(Failure::Unreadable));
}

#[test]
fn bytes_that_are_not_text_become_replacement_characters() {
    let said = read(b"", b"{\"choices\":[{\"delta\":{\"content\":\"a\xff\"}}]}").unwrap();
    assert_eq!(said.parts[0].piece.text(), "a\u{fffd}");
}

#[test]
fn an_error_is_one_in_any_form() {
    for error in [
        json!({ "error": { "code": 500 } }),
        json!({ "choices": [], "error": "x" }),
        json!({ "object": "error", "message": "x", "code": 400 }),
        json!({ "detail": "x" }),
        json!({ "type": "error", "error": { "type": "overloaded_error" } }),
        json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": "error" }] }),
        json!({ "choices": [{ "delta": {}, "finish_reason": "ABORT" }] }),
    ] {
        assert_eq!(said(error.clone()), Err(Failure::ErrorInAnswer), "{error}");
    }
    assert_eq!(read(b"error", br#"{"message":"x"}"#), Err(Failure::ErrorInAnswer));
    let long = json!({ "error": { "message": "This model's maximum context length is 10 tokens" } });
    assert_eq!(said(long), Err(Failure::ContextTooLong));
}

#[test]
fn absurd_numbers_of_usage_count_as_none_and_never_cost_the_answer() {
    let usage = |prompt, completion| Usage::reported(prompt, completion);
    assert_eq!(usage_in_chunk(r#"{"prompt_tokens":3,"completion_tokens":0}"#), usage(3, 0));
    assert_eq!(usage_in_chunk(r#"{"prompt_tokens":3.0,"completion_tokens":2e1}"#), usage(3, 20));
    for absurd in [
        "5",
        "[]",
        "null",
        "{}",
        r#"{"prompt_tokens":1}"#,
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":"1","completion_tokens":1}"#,
        r#"{"prompt_tokens":1e300,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999999}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1e999}"#,
        r#"{"prompt_tokens":1,"completion_tokens":-1e999}"#,
        r#"{"prompt_tokens":5,"total_tokens":4}"#,
        r#"{"prompt_tokens":-1e300,"total_tokens":4}"#,
    ] {
        assert_eq!(usage_in_chunk(absurd), None, "{absurd}");
    }
    let with_text = br#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1e999}}"#;
    let said = read(b"", with_text).unwrap();
    assert_eq!((said.parts[0].piece.text(), said.usage), ("a", None));
    let alone = br#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    assert_eq!(read(b"", alone).unwrap().usage, usage(1, 2));
}

#[test]
fn reasoning_that_is_counted_in_the_total_only_is_part_of_the_answer() {
    let counted = |usage: Value| {
        let usage = usage_in_chunk(&usage.to_string()).unwrap();
        (usage.prompt_tokens, usage.completion_tokens)
    };
    let with = |completion: i64, total: Option<i64>, reasoning: Option<i64>| {
        json!({ "prompt_tokens": 32, "completion_tokens": completion, "total_tokens": total,
            "completion_tokens_details": { "reasoning_tokens": reasoning } })
    };
    assert_eq!(counted(with(9, Some(135), Some(94))), (32, 103), "xAI");
    assert_eq!(counted(with(7, Some(127), None)), (32, 95), "Gemini");
    assert_eq!(counted(with(103, Some(135), Some(94))), (32, 103), "OpenAI");
    assert_eq!(counted(with(9, None, Some(94))), (32, 103));
    assert_eq!(counted(with(9, Some(41), Some(94))), (32, 9));
    assert_eq!(counted(with(9, Some(1_000_000), Some(94))), (32, 9), "more than the reasoning");
    assert_eq!(counted(with(9, Some(1 << 40), None)), (32, 9), "implausible");
    assert_eq!(counted(with(9, Some(-5), None)), (32, 9));
    assert_eq!(counted(json!({ "prompt_tokens": 5, "total_tokens": 7 })), (5, 2));
    let cached = json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015,
        "prompt_tokens_details": { "cached_tokens": 1000 } });
    assert_eq!(counted(cached), (10, 5), "the rest is in the cache");
}

#[test]
fn usage_is_found_wherever_it_is() {
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": 2 });
    for chunk in [
        json!({ "choices": [], "usage": usage }),
        json!({ "choices": [{ "delta": {}, "usage": usage }] }),
        json!({ "choices": [], "x_groq": { "id": "r", "usage": usage } }),
        json!({ "choices": [], "timings": { "prompt_n": 4, "cache_n": 3, "predicted_n": 2 } }),
    ] {
        let found = said(chunk.clone()).unwrap().usage.unwrap();
        assert_eq!((found.prompt_tokens, found.completion_tokens), (7, 2), "{chunk}");
    }
    let detailed = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2,
        "prompt_tokens_details": { "cached_tokens": 4 }, "completion_tokens_details": { "reasoning_tokens": 1 } } });
    let details = said(detailed).unwrap().usage.unwrap().details;
    assert_eq!((details.cached_tokens, details.reasoning_tokens), (Some(4), Some(1)));
}

#[test]
fn a_whole_answer_is_one_part() {
    let body = json!({ "object": "chat.completion", "choices": [{ "index": 0, "finish_reason": "tool_calls",
        "message": { "role": "assistant", "content": null, "tool_calls": [{ "id": "a" }, { "id": "b" }] } }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 2 } });
    let said = read_whole(body.to_string().as_bytes()).unwrap();
    let [Part { piece, is_whole: true }] = &said.parts[..] else { panic!("{said:?}") };
    let calls: Vec<_> = piece.delta.tool_calls.iter().map(|call| (call.index, call.id.as_str())).collect();
    assert_eq!(calls, [(Some(0), "a"), (Some(1), "b")]);
    assert_eq!(piece.finish_reason, Some(FinishReason::ToolCalls));
    assert_eq!(said.usage, Usage::reported(1, 2));
    for other in ["{}", "x", r#"{"choices":[]}"#, r#"{"choices":[{"delta":{}}]}"#, "[]"] {
        assert_eq!(read_whole(other.as_bytes()), Err(Failure::NotAnAnswer), "{other}");
    }
    assert_eq!(read_whole(br#"{"error":"x"}"#), Err(Failure::ErrorInAnswer));
}

#[test]
fn an_error_is_understood_in_any_form() {
    for (body, code, field) in [
        (
            r#"{"error":{"message":"x","type":"invalid_request_error","param":"messages[0].content","code":null}}"#,
            "invalid_request_error",
            Some("messages"),
        ),
        (
            r#"{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}"#,
            "authentication_error",
            None,
        ),
        (
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"x"}]}"#,
            "extra_forbidden",
            Some("stream_options"),
        ),
        (
            r#"{"object":"error","message":"my prompt","type":"BadRequestError","param":"temperature","code":400}"#,
            "badrequesterror",
            Some("temperature"),
        ),
        (r#"[{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}]"#, "invalid_argument", None),
        ("gossip", "none", None),
        ("", "none", None),
    ] {
        let complaint = complaint(body.as_bytes());
        assert_eq!((complaint.code(), complaint.field), (code, field), "{body}");
    }
}
