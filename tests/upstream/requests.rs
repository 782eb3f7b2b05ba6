//! The requests that an upstream gets, and the connections that they use.

use serde_json::json;

use super::*;
use crate::support::upstream::{Signal, done, finish, head, status, text};

#[tokio::test]
async fn a_request_contains_what_it_needs_and_nothing_else() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    let mut question = question();
    question.options.insert("temperature".into(), json!(0.5));
    question.options.insert("n".into(), json!(3));
    question.options.insert("stream".into(), json!(false));
    let permit = upstream.admit(ADA, "m").await.unwrap();
    upstream.ask(permit, &question).await.unwrap();
    let request = scripted.request(0).await;
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("cookie"), None);
    let wanted = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 10,
        "temperature": 0.5, "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(request.body, wanted);
}

#[tokio::test]
async fn without_a_key_none_is_sent_and_cookies_are_not_kept() {
    let scripted = ScriptedUpstream::start();
    let base_url = format!("{}/", scripted.url()).parse().unwrap();
    let upstream = Upstream::new(UpstreamSettings { key: None, base_url, ..settings(&scripted) }).unwrap();
    scripted.next(status(400, &[("set-cookie", "a=b")], ""));
    make_call(&upstream).await;
    make_call(&upstream).await;
    for request in scripted.requests() {
        assert_eq!(request.path, "/v1/chat/completions");
        assert_eq!((request.header("authorization"), request.header("cookie")), (None, None));
    }
}

/// A connection can be reused a moment after the end of its answer, so not every call gets it.
#[tokio::test]
async fn connections_are_reused() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    for _ in 0..20 {
        assert_eq!(make_call(&upstream).await.end, Ok(()));
    }
    let last = scripted.requests().into_iter().map(|request| request.connection).max();
    assert!(last < Some(19), "every call opened a connection");
}

/// The end of the response may arrive a moment after the end of the answer. The test tries again if
/// that was too late for the client.
#[tokio::test]
async fn a_connection_whose_response_ends_a_little_late_is_reused() {
    for _ in 0..10 {
        let scripted = ScriptedUpstream::start();
        let upstream = client(&scripted);
        let signal = Signal::default();
        scripted.next([head(), text("a"), finish("stop"), done(), signal.step(), Step::End]);
        assert_eq!(make_call(&upstream).await.end, Ok(()));
        signal.release();
        for _ in 0..5 {
            tokio::join!(make_call(&upstream), make_call(&upstream));
        }
        if scripted.requests()[1..].iter().any(|request| request.connection == 0) {
            return;
        }
    }
    panic!("the connection was closed each time");
}

#[tokio::test]
async fn a_connection_closed_meanwhile_costs_no_call() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    for _ in 0..3 {
        assert_eq!(make_call(&upstream).await.end, Ok(()));
        scripted.refuse().await;
        scripted.accept().await;
    }
    assert_eq!(scripted.requests().len(), 3);
}

#[tokio::test]
async fn the_key_is_never_shown() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.next(status(401, &[], ""));
    assert_eq!(make_call(&upstream).await, failed("", Failure::KeyRejected));
    assert!(!format!("{:?} {upstream:?} {:?}", settings(&scripted), upstream.health()).contains("sk-secret"));
}

/// The metrics count the calls since the start.
#[tokio::test]
async fn an_upstream_with_another_key_counts_its_calls_with_those_before() {
    let scripted = ScriptedUpstream::start();
    let before = client(&scripted);
    make_call(&before).await;
    let key = Some(UpstreamKey::parse("sk-other").unwrap());
    let after = before.changed_to(UpstreamSettings { key, ..settings(&scripted) }).unwrap();
    make_call(&after).await;
    assert_eq!(scripted.requests()[1].header("authorization"), Some("Bearer sk-other"));
    assert_eq!(after.measures("m").complete.value(), 2);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let scripted = ScriptedUpstream::start();
    assert!(Upstream::new(UpstreamSettings { calls: 0, ..settings(&scripted) }).is_err());
    for base in ["ftp://localhost/v1", "http://user:pass@localhost/v1", "mailto:x"] {
        let base_url = base.parse().unwrap();
        assert!(Upstream::new(UpstreamSettings { base_url, ..settings(&scripted) }).is_err(), "{base}");
    }
    assert_eq!(client(&scripted).time_limit(), LONG);
}
