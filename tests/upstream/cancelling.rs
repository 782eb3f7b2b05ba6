//! Dropping a call or an answer closes its connection and frees its place.

use super::*;
use crate::support::upstream::{Signal, head, status, text};

#[tokio::test]
async fn dropping_a_call_before_its_answer_closes_the_connection() {
    for script in [vec![Step::Hang], vec![head(), Step::Hang]] {
        let scripted = ScriptedUpstream::start();
        scripted.next(script);
        let upstream = client(&scripted);
        let permit = upstream.admit(ADA, "m").await.unwrap();
        assert_eq!(upstream.health().in_flight, 1);
        let question = question();
        tokio::select! {
            answer = upstream.ask(permit, &question) => panic!("{answer:?}"),
            _ = scripted.request(0) => {}
        }
        assert_eq!(upstream.health().in_flight, 0);
        scripted.until_client_is_gone(0).await;
        assert_eq!(upstream.health().failures_in_a_row, 0);
    }
}

#[tokio::test]
async fn dropping_an_answer_closes_the_connection_and_frees_the_place() {
    for rest in [Step::Hang, Step::Forever(b": busy\n\n".to_vec())] {
        let scripted = ScriptedUpstream::start();
        scripted.next([head(), text("a"), rest]);
        let upstream = client(&scripted);
        let mut stream = ask(&upstream).await.unwrap();
        assert_eq!(next(&mut stream).await, Ok(Some(Piece::of_text("a"))));
        assert!(!scripted.client_is_gone(0));
        drop(stream);
        let health = upstream.health();
        assert_eq!((health.in_flight, health.failures_in_a_row, health.last_success), (0, 0, None));
        scripted.until_client_is_gone(0).await;
    }
}

#[tokio::test]
async fn a_call_dropped_between_attempts_is_not_retried() {
    let scripted = ScriptedUpstream::start();
    let signal = Signal::default();
    let mut script = status(503, &[("retry-after", "5")], "");
    script.push(signal.step());
    scripted.next(script);
    let upstream = client(&scripted);
    let permit = upstream.admit(ADA, "m").await.unwrap();
    let question = question();
    tokio::select! {
        answer = upstream.ask(permit, &question) => panic!("{answer:?}"),
        () = signal.reached() => {}
    }
    assert_eq!((upstream.health().in_flight, scripted.requests().len()), (0, 1));
}
