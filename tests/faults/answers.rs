//! Unusual answers that still count as answers.

use rstest::rstest;

use super::table::Fault;
use crate::support::On;
use crate::support::upstream::{Step, answer, chunk, done, event, finish, head, role, text, usage};

/// Returns a script that answers `Hello there` in two parts, followed by these steps.
fn hello(then: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let begin = [head(), role(), text("Hello "), text("there"), finish("stop")];
    begin.into_iter().chain(then).chain([Step::End]).collect()
}

/// Returns an answer in one chunk, with CRLF line ends, comments, and unknown fields.
fn with_comments() -> Vec<Step> {
    let lines = ": gossip\r\n\r\nid: 1\r\nretry: 9\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello there\"}}]}\r\n\r\n:\r\n\r\n\
         data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\r\ndata: \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\r\n\r\n\
         data: [DONE]\r\n\r\n";
    vec![head(), Step::Chunk(lines.into()), Step::End]
}

/// Returns the answer `é`, split between its two bytes.
fn split_inside_a_character() -> Vec<Step> {
    let Step::Chunk(bytes) = chunk(serde_json::json!({ "content": "é" }), None) else {
        unreachable!("an event is a chunk")
    };
    let middle = bytes.iter().position(|byte| *byte == 0xC3).unwrap() + 1;
    let halves = [Step::Chunk(bytes[..middle].to_vec()), Step::Chunk(bytes[middle..].to_vec())];
    [head(), role()]
        .into_iter()
        .chain(halves)
        .chain([finish("stop"), usage(3, 1), done(), Step::End])
        .collect()
}

#[rstest]
#[case::is_good(|| Fault::answered(answer("Hello there", 3, 2), "Hello there", (3, 2), false))]
#[case::has_no_done(|| Fault::answered(hello([usage(3, 2)]), "Hello there", (3, 2), false))]
#[case::has_comments_and_other_line_ends(|| Fault::answered(with_comments(), "Hello there", (3, 2), false))]
#[case::is_split_inside_a_character(|| Fault::answered(split_inside_a_character(), "é", (3, 1), false))]
#[case::is_cut_after_its_reason(|| Fault::answered(
    vec![head(), role(), text("Hello "), text("there"), finish("stop"), Step::Close], "Hello there", (9, 3), true))]
#[case::has_no_usage(|| Fault::answered(hello([done()]), "Hello there", (9, 3), true))]
#[case::has_a_usage_of_nothing(|| Fault::answered(hello([usage(0, 0), done()]), "Hello there", (0, 0), false))]
#[case::has_a_negative_usage(|| Fault::answered(hello([usage(-5, 2), done()]), "Hello there", (9, 3), true))]
#[case::has_an_absurd_usage(|| Fault::answered(
    hello([usage(3, 1_000_000_000_000_000_000), done()]), "Hello there", (9, 3), true))]
#[case::has_a_usage_beyond_all_numbers(|| Fault::answered(
    hello([event(r#"{"choices":[],"usage":{"prompt_tokens":1e999,"completion_tokens":1}}"#), done()]),
    "Hello there", (9, 3), true))]
#[case::has_a_usage_above_the_hold(|| Fault::answered(
    hello([usage(5000, 5000), done()]), "Hello there", (5000, 5000), false))]
fn an_answer_is_paid_for_by_its_usage_or_our_count_and_never_above_the_hold(
    #[case] fault: fn() -> Fault,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    fault().check(on);
}
