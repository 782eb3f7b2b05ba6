//! Limits on time and on calls in flight.

use super::*;
use crate::support::upstream::{Signal, finish, head, text};

#[tokio::test]
async fn silence_before_the_first_byte_times_out() {
    for script in [vec![Step::Hang], vec![head(), Step::Hang]] {
        let scripted = ScriptedUpstream::start();
        scripted.next(script);
        let upstream =
            Upstream::new(UpstreamSettings { first_byte_timeout: SHORT, ..settings(&scripted) }).unwrap();
        assert_eq!(make_call(&upstream).await, failed("", Failure::FirstByteTimeout));
        scripted.until_client_is_gone(0).await;
        assert_eq!(scripted.requests().len(), 1);
        assert_eq!(upstream.health().in_flight, 0);
    }
}

#[tokio::test]
async fn silence_during_the_answer_times_out() {
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), text("a"), Step::Hang]);
    let upstream = Upstream::new(UpstreamSettings { idle_timeout: SHORT, ..settings(&scripted) }).unwrap();
    assert_eq!(make_call(&upstream).await, failed("a", Failure::Stalled));
    scripted.until_client_is_gone(0).await;
}

#[tokio::test]
async fn any_bytes_reset_the_idle_timeout() {
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), Step::Drip(b": still here\n\n".to_vec())]);
    let upstream = Upstream::new(UpstreamSettings { idle_timeout: SHORT, ..settings(&scripted) }).unwrap();
    let mut stream = ask(&upstream).await.unwrap();
    let waited = tokio::time::timeout(SHORT * 5, stream.next()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn polling_for_the_next_part_does_not_prolong_the_idle_timeout() {
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), text("a"), Step::Hang]);
    let idle_timeout = Duration::from_millis(200);
    let upstream = Upstream::new(UpstreamSettings { idle_timeout, ..settings(&scripted) }).unwrap();
    let mut stream = ask(&upstream).await.unwrap();
    next(&mut stream).await.unwrap();
    // As a client does that sends keep-alive comments in between.
    let impatient = async {
        loop {
            if let Ok(result) = tokio::time::timeout(Duration::from_millis(20), stream.next()).await {
                return result;
            }
        }
    };
    assert_eq!(in_time("the silence to end", impatient).await, Err(Failure::Stalled));
}

#[tokio::test]
async fn a_dropped_wait_for_the_next_part_loses_nothing() {
    let scripted = ScriptedUpstream::start();
    let signal = Signal::default();
    let Step::Chunk(event) = text("whole") else { panic!("not a chunk") };
    let (first, second) = event.split_at(20);
    scripted.next([
        head(),
        Step::Chunk(first.to_vec()),
        signal.step(),
        Step::Chunk(second.to_vec()),
        finish("stop"),
    ]);
    let mut stream = ask(&client(&scripted)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(1), stream.next()).await.is_err());
    signal.release();
    assert_eq!(next(&mut stream).await, Ok(Some(Piece::of_text("whole"))));
}

#[tokio::test]
async fn no_more_calls_are_in_flight_than_allowed() {
    let scripted = ScriptedUpstream::start();
    let bounds = UpstreamSettings { calls: 1, waiting: 1, ..settings(&scripted) };
    let upstream = Upstream::new(bounds).unwrap();
    let signal = Signal::default();
    scripted.next([head(), text("a"), signal.step(), finish("stop"), Step::End]);
    let (first, ()) = tokio::join!(make_call(&upstream), async {
        signal.reached().await;
        let second = tokio::spawn({
            let upstream = upstream.clone();
            async move { make_call_as(2, &upstream).await }
        });
        while upstream.health().waiting == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(make_call_as(3, &upstream).await, failed("", Failure::Busy));
        assert_eq!(make_call_as(2, &upstream).await, failed("", Failure::TooManyOfUser));
        assert_eq!((upstream.health().in_flight, upstream.health().waiting), (1, 1));
        assert_eq!(scripted.requests().len(), 1);
        signal.release();
        assert_eq!(in_time("its turn", second).await.unwrap().text, "Hello");
    });
    assert_eq!(first.text, "a");
    assert_eq!((upstream.health().in_flight, upstream.health().waiting), (0, 0));
    assert_eq!(upstream.health().failures_in_a_row, 0, "being busy is not a failure of the upstream");
}

#[tokio::test]
async fn an_open_breaker_is_reported_before_waiting_for_a_place() {
    let scripted = ScriptedUpstream::start();
    let upstream = Upstream::new(UpstreamSettings { calls: 2, waiting: 1, ..settings(&scripted) }).unwrap();
    let _first = upstream.admit(2, "m").await.unwrap();
    scripted.break_down();
    breakers::fail_until_the_breaker_opens(&upstream).await;
    let other = Upstream::new(UpstreamSettings { calls: 1, ..settings(&scripted) }).unwrap();
    assert!(other.admit(ADA, "m").await.is_ok(), "the breaker belongs to one node");
    assert!(matches!(upstream.admit(ADA, "m").await, Err(Failure::CircuitOpen(_))));
    assert_eq!(upstream.health().in_flight, 1);
}

#[tokio::test]
async fn waiting_for_a_place_has_a_time_limit() {
    let scripted = ScriptedUpstream::start();
    let bounds = UpstreamSettings { calls: 1, waiting: 1, patience: SHORT, ..settings(&scripted) };
    let upstream = Upstream::new(bounds).unwrap();
    let _permit = upstream.admit(2, "m").await.unwrap();
    assert_eq!(in_time("the time limit", upstream.admit(ADA, "m")).await.unwrap_err(), Failure::Busy);
}

/// The upstream never replies to a client that begins with TLS, so the connection is never made.
#[tokio::test]
async fn connecting_has_a_time_limit() {
    let scripted = ScriptedUpstream::start();
    let base_url = scripted.url().replace("http://", "https://").parse().unwrap();
    let bounds = UpstreamSettings { base_url, connect_timeout: SHORT, ..settings(&scripted) };
    assert_eq!(make_call(&Upstream::new(bounds).unwrap()).await, failed("", Failure::Unreachable));
    assert_eq!(scripted.requests().len(), 0);
}
