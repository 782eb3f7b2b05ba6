//! Messages to which the upstream gives no answer, or an incomplete one.

use rstest::rstest;
use tollgate::domain::FailureReason;

use super::ask::WAYS;
use super::table::{Fault, Outcome};
use super::world::{Price, World};
use crate::support::On;
use crate::support::upstream::{Step, done, event, finish, head, role, status, text, usage};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
pub(super) const GOSSIP: &str = r#"{"error":{"message":"gossip","code":"gossip"}}"#;

/// Returns the beginning of an answer, followed by these steps.
fn begun(then: impl IntoIterator<Item = Step>) -> Vec<Step> {
    [head(), role(), text("Hel")].into_iter().chain(then).collect()
}

fn refusal(code: u16) -> Vec<Step> {
    status(code, &JSON, GOSSIP)
}

fn request_refused() -> Fault {
    let mut fault = Fault::failed(refusal(400), FailureReason::RequestRejected);
    if let Outcome::Failed { status, error, .. } = &mut fault.outcome {
        (*status, *error) = (400, ["The model did not accept the request", "request_refused"]);
    }
    fault
}

fn too_many_requests() -> Fault {
    let mut fault = Fault::failed(refusal(429), FailureReason::RateLimited).called(3);
    if let Outcome::Failed { status, error, .. } = &mut fault.outcome {
        (*status, *error) = (503, ["Too busy", "busy"]);
    }
    fault
}

#[rstest]
#[case::resets(|| Fault::failed(vec![Step::Reset], FailureReason::ConnectionLost))]
#[case::closes(|| Fault::failed(vec![Step::Close], FailureReason::ConnectionLost))]
#[case::hangs(|| Fault::failed(vec![Step::Hang], FailureReason::FirstByteTimeout)
    .flags(&["--upstream-first-byte-timeout", "1"]).cancelled())]
#[case::hangs_after_the_head(|| Fault::failed(vec![head(), Step::Hang], FailureReason::FirstByteTimeout)
    .flags(&["--upstream-first-byte-timeout", "1"]).cancelled())]
#[case::stalls_after_the_role(|| Fault::failed(vec![head(), role(), Step::Hang], FailureReason::Stalled)
    .flags(&["--upstream-idle-timeout", "1"]).cancelled())]
#[case::stalls(|| Fault::failed(begun([Step::Hang]), FailureReason::Stalled).after("Hel")
    .flags(&["--upstream-idle-timeout", "1"]).cancelled())]
#[case::is_cut(|| Fault::failed(begun([Step::Close]), FailureReason::CutShort).after("Hel"))]
#[case::ends_before_the_reason(|| Fault::failed(begun([Step::End]), FailureReason::CutShort).after("Hel"))]
#[case::sends_a_malformed_chunk(|| Fault::failed(begun([event("{\"choices\":[gossip"), Step::Hang]),
    FailureReason::Unreadable).after("Hel").cancelled())]
#[case::sends_an_error_during_the_answer(|| Fault::failed(begun([event(GOSSIP), Step::Hang]),
    FailureReason::ErrorInAnswer).after("Hel").cancelled())]
#[case::sends_an_error_first(|| Fault::failed(vec![head(), event(GOSSIP), Step::Hang],
    FailureReason::ErrorInAnswer).cancelled())]
#[case::says_400(request_refused)]
#[case::says_401(|| Fault::failed(refusal(401), FailureReason::KeyRejected))]
#[case::says_429(too_many_requests)]
#[case::says_500(|| Fault::failed(refusal(500), FailureReason::ServerError))]
#[case::says_503(|| Fault::failed(refusal(503), FailureReason::ServerError).called(3))]
#[case::says_200_with_html(|| Fault::failed(
    status(200, &[("content-type", "text/html")], "<p>gossip</p>"), FailureReason::NotAnAnswer))]
#[case::never_ends(|| Fault::failed(
    vec![head(), role(), Step::Forever(endless())], FailureReason::TooLarge).after(&"x".repeat(68_000)).cancelled())]
#[case::sends_comments_forever(|| Fault::failed(
    begun([Step::Drip(b": gossip\n\n".to_vec())]), FailureReason::TotalTimeout).after("Hel").settled_as_counted(1)
    .flags(&["--upstream-total-timeout", "2"]).cancelled())]
#[case::floods_with_comments(|| Fault::failed(
    begun([Step::Forever(b": gossip\n\n".repeat(1000))]), FailureReason::TooLarge).after("Hel").cancelled())]
#[case::writes_nothing(|| Fault::failed(
    vec![head(), role(), finish("stop"), usage(3, 7), done(), Step::End], FailureReason::EmptyAnswer).settled(3, 0))]
#[case::writes_nothing_and_counts_nothing(|| Fault::failed(
    vec![head(), finish("length"), done(), Step::End], FailureReason::EmptyAnswer).settled_as_counted(0))]
#[case::writes_nothing_at_once(|| Fault::failed(
    status(200, &JSON, r#"{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":0}}"#),
    FailureReason::EmptyAnswer).settled(3, 0))]
fn an_upstream_failure_is_refunded_or_settled_and_reported_in_our_own_words(
    #[case] fault: fn() -> Fault,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    fault().check(on);
}

/// Returns a part of 1,000 bytes. An answer of 50 tokens may have 64 KiB and 64 bytes per token: 68
/// of these.
fn endless() -> Vec<u8> {
    match text(&"x".repeat(1000)) {
        Step::Chunk(bytes) => bytes,
        _ => unreachable!("an event is a chunk"),
    }
}

#[rstest]
#[tokio::test]
async fn a_chat_whose_upstream_accepts_no_connection_is_retried_and_then_refunded(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let fault = Fault::failed(Vec::new(), FailureReason::Unreachable).called(0);
    // The breaker opens after five failures.
    for ways in WAYS.chunks(4) {
        let Some(world) = World::start(on, &[]) else { return };
        world.upstream.refuse().await;
        fault.check_ways(&world, Price::Usage, ways);
        world.close();
    }
}
