//! Which failures are retried, how often, and after which wait.

use std::time::Instant;

use super::*;
use crate::support::upstream::{head, status, text};

#[tokio::test]
async fn busy_upstreams_are_retried_at_most_twice() {
    for (code, failure) in [(429, Failure::RateLimited), (503, Failure::ServerError)] {
        let scripted = ScriptedUpstream::start();
        let upstream = client(&scripted);
        let busy = || status(code, &[("retry-after-ms", "1")], "");
        scripted.next(busy());
        scripted.next(busy());
        assert_eq!(make_call(&upstream).await, complete("Hello", Usage::reported(3, 2)));
        assert_eq!(scripted.requests().len(), 3);
        scripted.otherwise(busy());
        assert_eq!(make_call(&upstream).await, failed("", failure));
        assert_eq!(scripted.requests().len(), 6);
        let bodies: Vec<_> = scripted.requests().into_iter().map(|request| request.body).collect();
        assert!(bodies.iter().all(|body| *body == bodies[0] && body["model"] == "m"));
    }
}

#[tokio::test]
async fn the_wait_between_attempts_is_as_requested_or_grows() {
    let scripted = ScriptedUpstream::start();
    scripted.next(status(429, &[("retry-after", "0.3")], ""));
    let begun = Instant::now();
    assert_eq!(make_call(&client(&scripted)).await.end, Ok(()));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    scripted.next(status(503, &[], ""));
    scripted.next(status(503, &[], ""));
    let begun = Instant::now();
    assert_eq!(make_call(&client(&scripted)).await.end, Ok(()));
    assert!(begun.elapsed() >= Duration::from_millis(187 + 375));
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_long_wait_is_not_retried() {
    for header in
        [("retry-after", "6"), ("retry-after-ms", "5001"), ("retry-after", "Sun, 06 Nov 2044 08:49:37 GMT")]
    {
        let scripted = ScriptedUpstream::start();
        scripted.next(status(429, &[header], ""));
        assert_eq!(make_call(&client(&scripted)).await, failed("", Failure::RateLimited));
        assert_eq!(scripted.requests().len(), 1);
    }
}

#[tokio::test]
async fn no_wait_exceeds_the_first_byte_timeout() {
    let scripted = ScriptedUpstream::start();
    scripted.next(status(429, &[("retry-after", "4")], ""));
    let upstream =
        Upstream::new(UpstreamSettings { first_byte_timeout: Duration::from_secs(3), ..settings(&scripted) });
    let begun = Instant::now();
    assert_eq!(
        make_call(&upstream.unwrap()).await,
        failed("", Failure::RateLimited),
        "the failure must be reported at once"
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(scripted.requests().len(), 1);
}

#[tokio::test]
async fn a_closed_port_is_retried_and_then_reported() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.refuse().await;
    let begun = Instant::now();
    assert_eq!(make_call(&upstream).await, failed("", Failure::Unreachable));
    assert!(
        begun.elapsed() >= Duration::from_millis(187 + 375),
        "there must be two waits between three attempts"
    );
    assert_eq!(upstream.health().failures_in_a_row, 1);
    let (outcome, ()) = tokio::join!(make_call(&upstream), scripted.accept());
    assert_eq!(
        outcome,
        complete("Hello", Usage::reported(3, 2)),
        "the upstream returned in time for a retry"
    );
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_retried() {
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), text("a"), Step::Close]);
    assert_eq!(make_call(&client(&scripted)).await, failed("a", Failure::CutShort));
    assert_eq!(scripted.requests().len(), 1);
}
