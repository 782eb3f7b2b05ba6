use super::*;
use serde_json::json;

fn piece(delta: Value) -> Piece {
    let Value::Object(delta) = delta else { panic!("no object") };
    Piece { delta, ..Piece::default() }
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
        answer.take(&piece(delta));
    }
    answer.take(&Piece { finish_reason: Some("tool_calls".into()), ..Piece::default() });
    assert_eq!(answer.text(), Some("Hello"));
    assert_eq!(
        answer.message().get("tool_calls"),
        Some(&json!([
            { "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "{\"x\":1}" } },
            { "index": 1, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{}" } },
        ]))
    );
    assert_eq!(answer.pieces, 5, "the first part brings only the role");
}

#[test]
fn an_answer_is_stored_and_read_back() {
    let mut answer = Answer::of_text("hi");
    assert_eq!(answer.extras(), None, "text that simply ends needs nothing besides");
    answer.finish_reason = Some("length".into());
    answer.take(&piece(json!({ "reasoning_content": "hm" })));
    let stored = Answer::stored(Some("hi".into()), answer.extras().as_deref());
    assert_eq!((stored.message(), stored.finish_reason.as_deref()), (answer.message(), Some("length")));
}

#[test]
fn of_a_tool_call_only_what_the_model_wrote_counts() {
    let mut answer = Answer::default();
    let around = json!({ "index": 0, "id": "call_0123456789abcdef", "type": "function" });
    for arguments in ["{\"a\"", ":1}"] {
        let mut call = around.clone();
        call["function"] = json!({ "arguments": arguments });
        answer.take(&piece(json!({ "role": "assistant", "content": null, "tool_calls": [call] })));
    }
    assert_eq!((answer.bytes(), answer.tokens_estimate()), (7, 2));
}

#[test]
fn what_arrived_is_a_token_for_each_part_or_four_bytes() {
    let mut answer = Answer::default();
    for _ in 0..3 {
        answer.take(&Piece::of_text("a"));
    }
    assert_eq!(answer.tokens_estimate(), 3);
    answer.take(&Piece::of_text(&"b".repeat(97)));
    assert_eq!(answer.tokens_estimate(), 25);
    answer.take(&Piece::of_text(""));
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
        |number, _| json!({ "tool_calls": [{ "index": number, "function": { "arguments": "" } }] }),
        |number, long| json!({ format!("{number}{long}"): 1 }),
        |_, long| json!({ "reasoning": long }),
        |_, _| json!({ "list": [0, 0, 0, 0, 0] }),
        |number, long| json!({ "id": long.repeat(number) }),
    ];
    for part in parts {
        let (mut answer, bounds) = (Answer::of_text("kept"), narrow());
        let beyond = (0..10_000).find(|number| answer.add(&piece(part(*number, &long)), &bounds).is_err());
        let beyond = beyond.expect("there is an end");
        assert!(beyond > 10 && answer.rest <= 12_000, "{beyond} parts, {} bytes", answer.rest);
        assert_eq!((answer.text(), answer.extras()), (Some("kept"), None));
    }
}

#[test]
fn fields_that_come_again_in_each_part_count_once() {
    let (mut answer, bounds) = (Answer::default(), narrow());
    for _ in 0..1000 {
        let call = json!({ "index": 0, "id": "call_0123456789", "type": "function", "function": { "arguments": "1" } });
        let delta = json!({ "role": "assistant", "content": "x", "tool_calls": [call] });
        assert_eq!(answer.add(&piece(delta), &bounds), Ok(()));
    }
    assert!(answer.extras().unwrap().len() <= answer.rest);
}

#[test]
fn log_probabilities_beyond_their_bound_are_left_out_and_the_answer_is_not() {
    let (mut answer, bounds) = (Answer::default(), narrow());
    let logprobs = Some(json!({ "content": [{ "token": "a", "logprob": -0.5 }] }));
    for _ in 0..1000 {
        let part = Piece { logprobs: logprobs.clone(), ..Piece::of_text("a") };
        assert_eq!(answer.add(&part, &bounds), Ok(()));
    }
    assert_eq!((answer.text().map(str::len), &answer.logprobs), (Some(1000), &None));
    assert!(answer.logprobs_weight < 12_000, "nothing was begun anew");
}

#[test]
fn stored_extras_that_are_too_large_are_not_read() {
    let extras = format!(r#"{{"message":{{"list":[{}0]}}}}"#, "0,".repeat(MOST_STORED_VALUES));
    let answer = Answer::stored(Some("text".to_owned()), Some(&extras));
    assert_eq!((answer.text(), answer.message().len()), (Some("text"), 1));
}
