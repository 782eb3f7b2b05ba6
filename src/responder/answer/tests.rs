use super::*;
use crate::domain::UsageDetails;
use serde_json::json;

fn piece(delta: Value) -> Piece {
    let Value::Object(delta) = delta else { panic!("no object") };
    Piece { delta: Delta::parse(delta).unwrap(), ..Piece::default() }
}

fn whole(answer: &Answer) -> Value {
    json!(answer.choices()[0])
}

fn extras(answer: &Answer) -> Option<String> {
    answer.extras(UsageDetails::default())
}

#[test]
fn text_and_tool_calls_are_put_together_from_their_parts() {
    let mut answer = Answer::default();
    for delta in [
        json!({ "role": "assistant", "content": null }),
        json!({ "content": "Hel" }),
        json!({ "content": "lo" }),
        json!({ "tool_calls": [{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }] }),
        json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"x\"" } }] }),
        json!({ "tool_calls": [{ "index": 1, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{}" } },
                               { "index": 0, "function": { "arguments": ":1}" } }] }),
    ] {
        answer.take(piece(delta));
    }
    answer.take(Piece { finish_reason: Some(FinishReason::ToolCalls), ..Piece::default() });
    assert_eq!(answer.text(), Some("Hello"));
    assert_eq!(
        whole(&answer)["tool_calls"],
        json!([
            { "id": "a", "type": "function", "function": { "name": "f", "arguments": "{\"x\":1}" } },
            { "id": "b", "type": "function", "function": { "name": "g", "arguments": "{}" } },
        ])
    );
    assert_eq!(answer.pieces, 5, "the first part brings only the role");
}

#[test]
fn an_answer_is_stored_and_read_back() {
    let mut answer = Answer::of_text("hi");
    assert_eq!(extras(&answer), None, "text that simply ends needs nothing besides");
    answer = Answer::default();
    answer.take(piece(json!({ "content": "hi", "reasoning": "hm", "audio": { "id": "a" },
        "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "f", "arguments": "{}" } }] })));
    answer.take(Piece { finish_reason: Some(FinishReason::Length), ..Piece::default() });
    answer.take(Piece { choice: 1, finish_reason: Some(FinishReason::Stop), ..Piece::of_text("ho") });
    let details = UsageDetails { cached_tokens: Some(3), ..UsageDetails::default() };
    let stored = Answer::stored(Some("hi".into()), answer.extras(details).as_deref());
    assert_eq!(stored.usage_details, details);
    assert_eq!(json!(stored.answer.choices()), json!(answer.choices()));
    let reasons = stored.answer.choices().iter().map(|choice| choice.finish_reason.clone().unwrap());
    assert_eq!(reasons.collect::<Vec<_>>(), [FinishReason::Length, FinishReason::Stop]);
}

#[test]
fn an_answer_that_an_earlier_version_stored_is_read() {
    let extras = r#"{"message":{"reasoning_content":"hm","tool_calls":[{"index":0,"id":"a","type":"function",
        "function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}"#;
    let stored = Answer::stored(None, Some(extras)).answer;
    let call = json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    assert_eq!(
        whole(&stored),
        json!({ "role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [call] })
    );
    assert_eq!(stored.choices()[0].finish_reason, Some(FinishReason::ToolCalls));
}

#[test]
fn of_a_tool_call_only_what_the_model_wrote_counts() {
    let mut answer = Answer::default();
    let around = json!({ "index": 0, "id": "call_0123456789abcdef", "type": "function" });
    for arguments in ["{\"a\"", ":1}"] {
        let mut call = around.clone();
        call["function"] = json!({ "arguments": arguments });
        answer.take(piece(json!({ "role": "assistant", "content": null, "tool_calls": [call] })));
    }
    assert_eq!((answer.bytes(), answer.tokens_estimate()), (7, 2));
}

#[test]
fn a_character_that_is_cut_in_two_is_joined_in_what_clients_get() {
    let half = |content: &str| Piece {
        has_halves: true,
        ..piece(json!({ "content": content, "reasoning": content }))
    };
    let (mut answer, bounds) = (Answer::default(), AnswerBounds::of(10));
    let first = answer.add(half("a\u{10F03D}"), &bounds).unwrap();
    assert_eq!(first.text(), "a");
    let second = answer.add(half("\u{10F600}"), &bounds).unwrap();
    assert_eq!((second.text(), second.delta.reasoning.text.as_str()), ("😀", "😀"));
    answer.add(half("\u{10F03D}"), &bounds).unwrap();
    let last =
        answer.add(Piece { finish_reason: Some(FinishReason::Stop), ..Piece::default() }, &bounds).unwrap();
    assert_eq!((last.text(), answer.text()), ("\u{fffd}", Some("a😀\u{fffd}")));
}

#[test]
fn thoughts_alone_are_no_output() {
    for (delta, is_output) in [
        (json!({ "reasoning": "hm" }), false),
        (json!({ "reasoning_details": [{ "text": "hm" }], "annotations": [1] }), false),
        (json!({ "content": "" }), false),
        (json!({ "content": "hi" }), true),
        (json!({ "refusal": "no" }), true),
        (json!({ "audio": { "id": "a" } }), true),
        (json!({ "tool_calls": [{ "id": "a" }] }), true),
    ] {
        let mut answer = Answer::default();
        answer.take(piece(delta.clone()));
        assert_eq!(answer.has_output(), is_output, "{delta}");
    }
}

#[test]
fn what_arrived_is_a_token_for_each_part_or_four_bytes() {
    let mut answer = Answer::default();
    for _ in 0..3 {
        answer.take(Piece::of_text("a"));
    }
    assert_eq!(answer.tokens_estimate(), 3);
    answer.take(Piece::of_text(&"b".repeat(97)));
    assert_eq!(answer.tokens_estimate(), 25);
    answer.take(Piece::of_text(""));
    assert_eq!(answer.tokens_estimate(), 25);
}

/// Limits so low that a test can exceed them.
fn narrow() -> AnswerBounds {
    AnswerBounds { rest: 10_000, logprobs: 10_000, ..AnswerBounds::of(10) }
}

#[test]
fn everything_kept_except_the_text_is_bounded() {
    let long = "x".repeat(500);
    let parts: [fn(usize, &str) -> Value; 5] = [
        |number, _| json!({ "tool_calls": [{ "index": number, "id": "a", "function": { "arguments": "" } }] }),
        |number, long| json!({ format!("{number}{long}"): 1 }),
        |_, long| json!({ "reasoning": long }),
        |number, _| json!({ "list": [number, { "text": "a" }] }),
        |number, long| json!({ "other": long.repeat(number) }),
    ];
    for part in parts {
        let (mut answer, bounds) = (Answer::of_text("kept"), narrow());
        let beyond = (0..10_000).find(|number| answer.add(piece(part(*number, &long)), &bounds).is_err());
        let beyond = beyond.expect("there is an end");
        assert!(beyond > 10 && answer.rest <= 12_000, "{beyond} parts, {} bytes", answer.rest);
        assert_eq!((answer.text(), extras(&answer)), (Some("kept"), None));
    }
}

#[test]
fn fields_that_come_again_in_each_part_count_once() {
    let (mut answer, bounds) = (Answer::default(), narrow());
    for _ in 0..1000 {
        let call = json!({ "index": 0, "id": "call_0123456789", "type": "function", "function": { "arguments": "1" } });
        let delta = json!({ "role": "assistant", "content": "x", "tool_calls": [call] });
        assert!(answer.add(piece(delta), &bounds).is_ok());
    }
    assert!(extras(&answer).unwrap().len() <= answer.rest);
}

#[test]
fn log_probabilities_beyond_their_bound_are_left_out_and_the_answer_is_not() {
    let (mut answer, bounds) = (Answer::default(), narrow());
    let logprobs = Some(json!({ "content": [{ "token": "a", "logprob": -0.5 }] }));
    for _ in 0..1000 {
        let part = Piece { logprobs: logprobs.clone(), ..Piece::of_text("a") };
        assert!(answer.add(part, &bounds).is_ok());
    }
    assert_eq!((answer.text().map(str::len), &answer.choices()[0].logprobs), (Some(1000), &None));
    assert!(answer.logprobs_weight < 12_000, "nothing was begun anew");
}

#[test]
fn stored_extras_that_are_too_large_are_not_read() {
    let extras = format!(r#"{{"message":{{"list":[{}0]}}}}"#, "0,".repeat(MOST_STORED_VALUES));
    let answer = Answer::stored(Some("text".to_owned()), Some(&extras)).answer;
    assert_eq!(whole(&answer), json!({ "role": "assistant", "content": "text" }));
}

#[test]
fn an_unusual_order_is_stored_and_read_back() {
    let mut answer = Answer::default();
    for delta in [
        json!({ "content": "one" }),
        json!({ "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "f", "arguments": "" } }] }),
        json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{}" } }] }),
        json!({ "reasoning": "hm" }),
        json!({ "content": "two" }),
    ] {
        answer.take(piece(delta));
    }
    answer.take(Piece { finish_reason: Some(FinishReason::Stop), ..Piece::default() });
    let kinds = |answer: &Answer| -> Vec<String> {
        let kind = |segment: &Segment<'_>| match segment {
            Segment::Reasoning(text) => format!("reasoning {text}"),
            Segment::Text(text) => format!("text {text}"),
            Segment::Refusal(text) => format!("refusal {text}"),
            Segment::Call(call) => format!("call {}", call.input),
        };
        answer.choices()[0].segments().iter().map(kind).collect()
    };
    let wanted = ["text one", "call {}", "reasoning hm", "text two"];
    assert_eq!(kinds(&answer), wanted);
    let extras = extras(&answer).unwrap();
    let stored = |text: &str, extras: &str| Answer::stored(Some(text.to_owned()), Some(extras)).answer;
    let back = stored("onetwo", &extras);
    assert_eq!(kinds(&back), wanted);
    let pieces = back.as_pieces();
    let deltas: Vec<_> = pieces.iter().map(|piece| json!(piece.delta)).collect();
    assert_eq!((&deltas[0], &deltas[3]), (&json!({ "content": "one" }), &json!({ "content": "two" })));
    // What does not fit the answer is not used: the usual order is.
    for order in ["t3 c r2 t9", "t1 c r2 t5", "x", "", "t3 r2 t3"] {
        let extras = extras.replace("t3 c r2 t3", order);
        assert_eq!(kinds(&stored("üüü", &extras)), ["reasoning hm", "text üüü", "call {}"], "{order}");
    }
}
