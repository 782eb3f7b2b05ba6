//! Responses and answers that fail, and the failure that each is reported as.

use serde_json::json;

use super::*;
use crate::support::upstream::{Signal, answer, chunk, event, finish, head, role, status, text, usage};

#[tokio::test]
async fn each_status_maps_to_a_failure_and_its_text_is_discarded() {
    for (code, failure) in [
        (400, Failure::RequestRejected(None)),
        (401, Failure::KeyRejected),
        (402, Failure::ModelUnavailable),
        (403, Failure::KeyRejected),
        (404, Failure::ModelUnavailable),
        (422, Failure::RequestRejected(None)),
        (500, Failure::ServerError),
        (502, Failure::ServerError),
        (504, Failure::ServerError),
    ] {
        let scripted = ScriptedUpstream::start();
        scripted.next(status(
            code,
            &[("content-type", "application/json")],
            r#"{"error":{"message":"gossip"}}"#,
        ));
        let upstream = client(&scripted);
        assert_eq!(make_call(&upstream).await, failed("", failure), "{code}");
        assert_eq!(scripted.requests().len(), 1, "{code} must not be retried");
        assert!(!format!("{upstream:?}").contains("gossip"));
        assert_eq!(upstream.health().in_flight, 0);
    }
}

#[tokio::test]
async fn the_body_of_an_error_may_be_endless_or_missing() {
    for end in [Step::Forever(vec![b'x'; 8192]), Step::Hang, Step::Reset] {
        let head = "HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n";
        let rejected = failed("", Failure::RequestRejected(None));
        assert_eq!(outcome_of([Step::Raw(head.into()), end]).await, rejected);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scripted = ScriptedUpstream::start();
    let elsewhere = format!("{}/elsewhere", scripted.url());
    for code in [301, 302, 303, 307, 308] {
        scripted.next(status(code, &[("location", &elsewhere)], ""));
        assert_eq!(make_call(&client(&scripted)).await, failed("", Failure::NotAnAnswer));
    }
    assert!(scripted.requests().iter().all(|request| request.path == "/v1/chat/completions"));
    assert_eq!(scripted.requests().len(), 5);
}

#[tokio::test]
async fn a_200_that_is_no_answer_is_a_failure() {
    let html = [("content-type", "text/html")];
    for (headers, body) in [
        (&html[..], "data: [DONE]\n\n"),
        (&html, "<html>"),
        (&[], "<html>"),
        (&[("content-type", "text/plain")], "Internal error"),
        (&[("content-type", "application/json")], "\"busy\""),
        (&[("content-type", "image/png")], "x"),
    ] {
        assert_eq!(outcome_of(status(200, headers, body)).await, failed("", Failure::NotAnAnswer), "{body}");
    }
    let done = status(200, &[("content-type", "text/event-stream")], "data: [DONE]\n\n");
    assert_eq!(outcome_of(done).await, failed("", Failure::CutShort));
    assert_eq!(outcome_of(status(204, &[], "")).await, failed("", Failure::NotAnAnswer));
}

#[tokio::test]
async fn an_end_before_the_finish_reason_is_a_failure() {
    for end in [Step::End, Step::Close, Step::Reset] {
        let scripted = ScriptedUpstream::start();
        let signal = Signal::default();
        scripted.next([head(), role(), text("Hel"), usage(1, 1), signal.step(), end]);
        let upstream = client(&scripted);
        let mut stream = ask(&upstream).await.unwrap();
        assert_eq!(next(&mut stream).await, Ok(Some(Piece::of_text("Hel"))));
        signal.release();
        assert_eq!(next(&mut stream).await, Err(Failure::CutShort));
        assert_eq!(stream.usage(), Usage::reported(1, 1), "usage before the end must be known");
        assert_eq!(upstream.health().in_flight, 0);
        assert_eq!(upstream.health().failures_in_a_row, 1);
    }
    assert_eq!(outcome_of([head(), Step::End]).await, failed("", Failure::CutShort), "before any event");
    let half = Step::Chunk(br#"data: {"choices":[{"del"#.to_vec());
    assert_eq!(
        outcome_of([head(), text("a"), half, Step::End]).await,
        failed("a", Failure::CutShort),
        "in the middle of an event"
    );
}

#[tokio::test]
async fn invalid_events_are_unreadable() {
    for data in [
        "{nonsense",
        r#"{"choices":[{"delta":{"content":"b"}}]"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[{"delta":{"content":7}}]}"#,
    ] {
        assert_eq!(
            outcome_of([head(), text("a"), event(data), finish("stop")]).await,
            failed("a", Failure::Unreadable)
        );
    }
    assert_eq!(
        outcome_of([head(), Step::Forever(vec![b'x'; 8192])]).await,
        failed("", Failure::Unreadable),
        "a line without an end"
    );
}

#[tokio::test]
async fn an_error_during_the_answer_fails_the_call_and_closes_the_connection() {
    let scripted = ScriptedUpstream::start();
    let error = json!({ "error": { "message": "gossip", "code": 500 } });
    scripted.next([head(), text("a"), event(&error.to_string()), Step::Hang]);
    let upstream = client(&scripted);
    let mut stream = ask(&upstream).await.unwrap();
    assert_eq!(next(&mut stream).await, Ok(Some(Piece::of_text("a"))));
    assert_eq!(next(&mut stream).await, Err(Failure::ErrorInAnswer));
    assert_eq!(upstream.health().in_flight, 0);
    scripted.until_client_is_gone(0).await;
    assert_eq!(next(&mut stream).await, Err(Failure::ErrorInAnswer), "the failure must be final");
}

#[tokio::test]
async fn an_answer_is_cut_at_its_text_limit() {
    // The limit: 64 KiB, and 64 bytes for each of 10 tokens.
    let most = (64 << 10) + 640;
    let just = "x".repeat(most);
    let fits = outcome_of([head(), text(&just), finish("stop"), Step::End]).await;
    assert_eq!(fits, complete(&just, None));
    assert_eq!(
        outcome_of([head(), text(&just), text("y"), Step::Hang]).await,
        failed(&just, Failure::TooLarge)
    );
    let Step::Chunk(piece) = chunk(json!({ "reasoning": "x".repeat(1000) }), None) else {
        panic!("not a chunk")
    };
    let scripted = ScriptedUpstream::start();
    scripted.next([head(), Step::Forever(piece)]);
    assert_eq!(make_call(&client(&scripted)).await, failed("", Failure::TooLarge));
    scripted.until_client_is_gone(0).await;
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_not_retried() {
    for script in [vec![Step::Reset], vec![Step::Close], vec![head(), Step::Reset]] {
        let scripted = ScriptedUpstream::start();
        scripted.next(script);
        assert_eq!(make_call(&client(&scripted)).await, failed("", Failure::ConnectionLost));
        assert_eq!(scripted.requests().len(), 1);
    }
}

#[tokio::test]
async fn refused_requests_and_rate_limits_never_open_the_breaker() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.models(status(500, &[], ""));
    for code in [400, 429] {
        scripted.otherwise(status(code, &[("retry-after", "60")], ""));
        for _ in 0..6 {
            assert!(make_call(&upstream).await.end.is_err());
        }
    }
    assert_eq!((upstream.health().state.as_str(), scripted.probes()), ("closed", 0));
    scripted.otherwise(answer("Hello", 1, 1));
    assert_eq!(make_call(&upstream).await.end, Ok(()));
}
