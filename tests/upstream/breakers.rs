//! The circuit breakers of the models: what opens them, which calls they stop, and how they close
//! again.

use super::*;
use crate::support::upstream::{Signal, answer, event, head, status, text};

/// The number of calls after which a test no longer waits for a breaker.
const MOST_CALLS: usize = 1000;

/// Makes calls to a broken-down upstream until its breaker opens. Returns how many failed before.
pub(super) async fn fail_until_the_breaker_opens(upstream: &Upstream) -> usize {
    for call in 0..MOST_CALLS {
        if let Err(Failure::CircuitOpen(_)) = make_call(upstream).await.end {
            return call;
        }
    }
    panic!("the breaker is still closed after {MOST_CALLS} failures");
}

/// Waits until the upstream's state is `wanted`.
async fn until_state(upstream: &Upstream, wanted: &str) {
    let wait = async {
        while upstream.health().state.as_str() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(wanted, wait).await;
}

/// Returns the ways in which one user can make calls fail repeatedly.
fn failures() -> Vec<Vec<Step>> {
    let broken = || [head(), text("a"), Step::End].to_vec();
    let mut scripts: Vec<Vec<Step>> =
        [401, 402, 403, 404, 405, 410, 500, 502, 504].map(|code| status(code, &[], "")).to_vec();
    // A long wait, so that they are not retried.
    scripts.extend([503, 529].map(|code| status(code, &[("retry-after", "60")], "")));
    scripts.extend([vec![Step::Reset], vec![head(), Step::Reset], vec![head(), Step::End], broken()]);
    scripts.push(status(200, &[("content-type", "text/html")], ""));
    scripts.push(vec![head(), event("{nonsense")]);
    scripts.push(vec![head(), event(r#"{"error":"x"}"#)]);
    scripts
}

#[tokio::test]
async fn one_users_failures_stop_nobody_while_the_probe_succeeds() {
    for script in failures() {
        let scripted = ScriptedUpstream::start();
        let upstream = client(&scripted);
        scripted.otherwise(script);
        for _ in 0..12 {
            assert!(make_call(&upstream).await.end.is_err());
        }
        let probed = async {
            while scripted.probes() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        in_time("the probe", probed).await;
        assert_eq!(upstream.health().state.as_str(), "closed", "{:?}", upstream.health());
        scripted.next(answer("Hello", 3, 2));
        assert_eq!(make_call_as(2, &upstream).await.text, "Hello");
        assert_eq!(upstream.health().failures_in_a_row, 0, "a complete answer must reset the count");
    }
}

#[tokio::test]
async fn silence_and_stalls_of_one_user_stop_nobody() {
    for script in [vec![Step::Hang], vec![head(), text("a"), Step::Hang]] {
        let scripted = ScriptedUpstream::start();
        let bounds =
            UpstreamSettings { first_byte_timeout: SHORT, idle_timeout: SHORT, ..settings(&scripted) };
        let upstream = Upstream::new(bounds).unwrap();
        scripted.otherwise(script);
        for _ in 0..8 {
            assert!(make_call(&upstream).await.end.is_err());
        }
        assert_eq!(upstream.health().state.as_str(), "closed");
    }
}

#[tokio::test]
async fn a_breaker_opens_after_five_failures_and_a_bad_probe_and_closes_after_a_good_one() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.break_down();
    for _ in 0..5 {
        assert_eq!(make_call(&upstream).await, failed("", Failure::ServerError));
    }
    until_state(&upstream, "open").await;
    let Err(Failure::CircuitOpen(rest)) = upstream.admit(2, "m").await else {
        panic!("the call is admitted")
    };
    assert!(rest <= Duration::from_secs(1));
    let health = upstream.health();
    assert_eq!((health.failures_in_a_row, health.in_flight), (5, 0));
    assert_eq!(health.last_failure.unwrap().1, Failure::ServerError.reason());
    assert_eq!(health.models[0].state.as_str(), "open");
    let calls = scripted.requests().len();

    scripted.otherwise(answer("Hello", 3, 2));
    scripted.models(status(404, &[], ""));
    until_state(&upstream, "closed").await;
    assert_eq!(scripted.requests().len(), calls, "a user's call closed the breaker");
    assert_eq!(make_call_as(2, &upstream).await.text, "Hello");
    assert_eq!(upstream.health().models[0].state.as_str(), "closed");
}

#[tokio::test]
async fn a_closed_port_is_detected_by_the_probe_too() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.refuse().await;
    let calls = futures_util::future::join_all((0..5).map(|user| make_call_as(user, &upstream))).await;
    assert!(calls.iter().all(|outcome| outcome.end == Err(Failure::Unreachable)));
    until_state(&upstream, "open").await;
    scripted.accept().await;
    until_state(&upstream, "closed").await;
}

#[tokio::test]
async fn an_open_breaker_does_not_stop_calls_of_other_models() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.break_down();
    fail_until_the_breaker_opens(&upstream).await;
    assert!(matches!(upstream.admit(ADA, "m").await, Err(Failure::CircuitOpen(_))));
    assert!(upstream.admit(ADA, "another").await.is_ok());
    let health = upstream.health();
    assert_eq!(
        health.models.iter().map(|model| (model.name.as_str(), model.state.as_str())).collect::<Vec<_>>(),
        [("another", "closed"), ("m", "open")]
    );
    assert_eq!(health.state.as_str(), "open", "the worst state is shown");
}

#[tokio::test]
async fn a_probe_with_a_rejected_key_opens_the_breaker_only_if_calls_were_rejected_too() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.otherwise(status(401, &[], ""));
    scripted.models(status(401, &[], ""));
    for _ in 0..5 {
        assert_eq!(make_call(&upstream).await, failed("", Failure::KeyRejected));
    }
    until_state(&upstream, "open").await;
    // A key that may call models, but not list them: the rejected probe says nothing about the
    // calls.
    scripted.otherwise(status(500, &[], ""));
    let other = client(&scripted);
    for _ in 0..8 {
        assert_eq!(make_call(&other).await, failed("", Failure::ServerError));
    }
    assert_eq!(other.health().state.as_str(), "closed");
}

#[tokio::test]
async fn a_call_that_waits_for_a_place_fails_if_the_breaker_opens() {
    let scripted = ScriptedUpstream::start();
    let upstream = Upstream::new(UpstreamSettings { calls: 1, waiting: 1, ..settings(&scripted) }).unwrap();
    let (probe, call) = (Signal::default(), Signal::default());
    scripted.break_down();
    scripted.models([vec![probe.step()], status(500, &[], "")].concat());
    for _ in 0..5 {
        make_call(&upstream).await;
    }
    probe.reached().await;
    scripted.next([head(), text("a"), call.step(), Step::End]);
    let (sixth, waited) = tokio::join!(make_call(&upstream), async {
        call.reached().await;
        let (waited, ()) = tokio::join!(in_time("its turn", upstream.admit(2, "m")), async {
            probe.release();
            until_state(&upstream, "open").await;
            call.release();
        });
        waited
    });
    assert_eq!(sixth, failed("a", Failure::CutShort));
    assert!(matches!(waited, Err(Failure::CircuitOpen(_))), "{waited:?}");
    assert_eq!((upstream.health().in_flight, upstream.health().waiting), (0, 0));
}
