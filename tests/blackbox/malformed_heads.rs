//! Heads that are too large, ambiguous, invalid or slow, and bodies that do not arrive.

use std::time::{Duration, Instant};

use super::malformed::{Scene, assert_refused};
use crate::support::http::Broken;
use crate::support::{On, wait};

const GOOD: &[u8] = br#"{"message":"Hello"}"#;

#[test]
fn a_head_above_16_kib_is_refused() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    let many = |count: usize| -> String {
        (0..count).map(|number| format!("X-Filler-{number}: {}\r\n", "x".repeat(400))).collect()
    };
    let heads = [
        format!("X-Filler: {}\r\n", "x".repeat(16 * 1024)),
        format!("X-Filler: {}\r\n", "x".repeat(60_000)),
        many(45),
        many(90),
    ];
    for lines in heads {
        let request = scene.request(&format!("{lines}Content-Length: 19\r\n"), GOOD);
        let answer = scene.server.client().raw(&request).unwrap();
        assert_refused(&answer, 431, &format!("{} bytes of headers", lines.len()));
    }
    let url = format!("GET /tokens/?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(17 * 1024));
    assert_refused(&scene.server.client().raw(url.as_bytes()).unwrap(), 431, "a long URL");

    // The parser itself gives up on these.
    let hundreds: String = (0..500).map(|number| format!("X-{number}: x\r\n")).collect();
    for lines in [format!("X-Filler: {}\r\n", "x".repeat(1_000_000)), hundreds] {
        let request = scene.request(&format!("{lines}Content-Length: 19\r\n"), GOOD);
        match scene.server.client().raw(&request) {
            Ok(answer) => assert!((400..500).contains(&answer.status), "{answer:?}"),
            Err(broken) => assert_eq!(broken, Broken::NoAnswer),
        }
    }
    let fits = scene.request(&format!("X-Filler: {}\r\nContent-Length: 2\r\n", "x".repeat(15_000)), b"{}");
    assert_refused(
        &scene.server.client().raw(&fits).unwrap(),
        400,
        "a head that is large, but not too large",
    );
    scene.assert_unchanged();
}

#[test]
fn a_duplicate_of_a_header_that_must_be_unique_is_refused() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    let same = format!("Authorization: Bearer {}\r\nContent-Length: 19\r\n", scene.token);
    let cases = [
        (same.as_str(), 401),
        ("Authorization: Bearer another\r\nContent-Length: 19\r\n", 401),
        ("Idempotency-Key: a\r\nIdempotency-Key: a\r\nContent-Length: 19\r\n", 400),
        ("Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 19\r\n", 400),
        ("Content-Type: application/json\r\nContent-Type: application/json\r\nContent-Length: 19\r\n", 415),
    ];
    for (lines, status) in cases {
        let answer = scene.server.client().raw(&scene.request(lines, GOOD)).unwrap();
        assert_refused(&answer, status, lines);
    }
    for key in ["", " ", "a b", "\u{e9}", "a\tb", &"x".repeat(256)] {
        let lines = format!("Idempotency-Key: {key}\r\nContent-Length: 19\r\n");
        let answer = scene.server.client().raw(&scene.request(&lines, GOOD)).unwrap();
        assert_refused(&answer, 400, &lines);
    }
    let twice = scene.request("Content-Length: 19\r\nContent-Length: 19\r\n", GOOD);
    match scene.server.client().raw(&twice) {
        Ok(answer) => assert!((400..500).contains(&answer.status), "{answer:?}"),
        Err(broken) => assert_eq!(broken, Broken::NoAnswer),
    }
    scene.assert_unchanged();
}

#[test]
fn requests_that_are_not_valid_http_are_refused_or_dropped() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    let malformed: [&[u8]; 9] = [
        b"\r\n\r\n\r\n\r\nwhat\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /tokens/ HTTP/9.9\r\n\r\n",
        b"GET /tokens/ HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
        b"GET /tokens/ HTTP/1.1\r\nHost: a\r\nX-Nul: a\0b\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G@T /tokens/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for bytes in malformed {
        match scene.server.client().raw(bytes) {
            Ok(answer) => assert!((400..500).contains(&answer.status), "{bytes:?}: {answer:?}"),
            Err(broken) => assert_eq!(broken, Broken::NoAnswer, "{bytes:?}"),
        }
    }
    scene.assert_unchanged();
}

#[test]
fn a_head_that_does_not_arrive_in_time_ends_its_connection() {
    let Some(scene) = Scene::new(On::Sqlite, &["--head-timeout", "1"]) else { return };
    let half = b"POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthor";
    let begun = Instant::now();
    let answer = scene.server.client().raw(half);
    assert!(
        matches!(&answer, Ok(answer) if answer.status == 408)
            || answer.as_ref().is_err_and(|b| *b == Broken::NoAnswer),
        "{answer:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());

    // A byte now and then does not extend the time.
    let begun = Instant::now();
    let dripped = drip(b"POST /chat/ HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"x", Duration::from_secs(15));
    let answer = scene.server.client().raw_in_parts(dripped);
    assert!(!matches!(&answer, Ok(answer) if answer.status < 400 || answer.status >= 500), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(12), "it took {:?}", begun.elapsed());
    scene.assert_unchanged();
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_refused() {
    let Some(scene) = Scene::new(On::Sqlite, &["--body-timeout", "1"]) else { return };
    let stalled = scene.request("Content-Length: 19\r\n", &GOOD[..10]);
    assert_refused(&scene.server.client().raw(&stalled).unwrap(), 408, "a body that stalls");

    let head = scene.request("Content-Length: 400\r\n", b"{\"message\":\"");
    let begun = Instant::now();
    let dripped = drip(&head, b"x", Duration::from_secs(15));
    let answer = scene.server.client().raw_in_parts(dripped).unwrap();
    assert_refused(&answer, 408, "a body that drips");
    assert!(begun.elapsed() < Duration::from_secs(12), "it took {:?}", begun.elapsed());

    // The client disconnects before it sends the rest.
    drop(scene.server.client().raw_in_parts(std::iter::once(&stalled[..])));
    wait::until("readiness", Duration::from_secs(5), || scene.server.is_ready().then_some(()));
    scene.assert_unchanged();
}

/// Yields `first`, and then `drop` every tenth of a second for this time.
fn drip<'a>(first: &'a [u8], drop: &'a [u8], lasting: Duration) -> impl Iterator<Item = &'a [u8]> {
    let end = Instant::now() + lasting;
    let drops = std::iter::from_fn(move || {
        std::thread::sleep(Duration::from_millis(100));
        (Instant::now() < end).then_some(drop)
    });
    std::iter::once(first).chain(drops)
}
