//! Connections that never finish their request, or never read the response.

use std::time::Duration;

use rstest::rstest;

use super::storm::{Storm, size};
use crate::support::wait;
use crate::support::wire::Scheme;

/// The limit on heads, and on the time after the last response, with slack for a busy machine.
const SOON: Duration = Duration::from_secs(15);

#[rstest]
fn requests_in_chunks_that_never_come_are_closed_and_keep_nobody_out(
    #[values(Scheme::Http, Scheme::Https)] scheme: Scheme,
) {
    let Some(storm) = Storm::begin_over(scheme, &[]) else { return };
    let count = size(8192, 600);
    let heads = [
        "GET /healthz HTTP/1.1\r\nHost: a\r\n",
        "GET /tokens/ HTTP/1.1\r\nHost: a\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: a\r\n",
        "DELETE /tokens/ HTTP/1.1\r\nHost: a\r\n",
    ];
    let request =
        |number: usize| format!("{}Transfer-Encoding: chunked\r\n\r\n", heads[number % 4]).into_bytes();
    let streams = storm.connect(count, request, false);
    let closed = storm.await_closed(&streams, SOON);
    storm.end(
        &format!("half-open chunked requests, {scheme:?}"),
        &format!(
            "{} connections, the last closed {:.1} s after it came",
            streams.len(),
            closed.as_secs_f64()
        ),
    );
}

#[rstest]
fn heads_that_never_end_are_closed_and_keep_nobody_out(
    #[values(Scheme::Http, Scheme::Https)] scheme: Scheme,
) {
    let Some(storm) = Storm::begin_over(scheme, &[]) else { return };
    let count = size(8192, 600);
    // A few are as long as a head may be.
    let half = |number: usize| {
        let length = if number.is_multiple_of(16) { 100_000 } else { 100 };
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {}", "x".repeat(length)).into_bytes()
    };
    let streams = storm.connect(count, half, false);
    let closed = storm.await_closed(&streams, SOON);
    storm.end(
        &format!("half-sent heads, {scheme:?}"),
        &format!(
            "{} connections, the last closed {:.1} s after it came",
            streams.len(),
            closed.as_secs_f64()
        ),
    );
}

/// Responses fill the buffers, but nobody reads them.
#[rstest]
fn unread_responses_keep_nobody_out(#[values(Scheme::Http, Scheme::Https)] scheme: Scheme) {
    let most = size(8192, 60);
    let (setting, limit) = (most.to_string(), size(30, 5).to_string());
    let flags = ["--max-connections", &setting, "--write-timeout", &limit];
    let Some(storm) = Storm::begin_over(scheme, &flags) else { return };
    // 75 KB: more than the kernel takes for a client with a small buffer.
    let pages = b"GET /static/tollgate.css HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    // The honest user has the same address. If all places were taken, the server would close that
    // user's connection.
    let streams = storm.connect(most - 4, |_| pages.clone(), true);
    assert!(storm.server.is_ready(), "a newcomer gets no place");
    let held = storm.held(&streams);
    let closed = storm.await_closed(&streams, Duration::from_secs(90));
    storm.end(
        &format!("responses that are not read, {scheme:?}"),
        &format!("{held} connections held, the last closed after {:.1} s", closed.as_secs_f64()),
    );
}

/// More connections than places: the network with the most loses its connections first.
#[rstest]
fn a_flood_of_connections_displaces_only_itself(#[values(Scheme::Http, Scheme::Https)] scheme: Scheme) {
    let most = size(8192, 400);
    let setting = most.to_string();
    let flags = ["--max-connections", &setting, "--head-timeout", "60"];
    let Some(storm) = Storm::begin_over(scheme, &flags) else { return };
    let half = |_| b"GET /".to_vec();
    let mut streams = storm.connect(most / 2, half, false);
    // The honest user's connection may be closed while all others are so new that their requests
    // may be on their way. In a flood that lasts, there are older ones.
    std::thread::sleep(Duration::from_millis(500));
    streams.extend(storm.connect(most * 3 / 4, half, false));
    let held = wait::until("the idlest to be closed", SOON, || {
        let held = storm.held(&streams);
        (held <= most).then_some(held)
    });
    assert!(held > most / 2, "{held} connections are held");
    // A newcomer must get a place at once.
    assert!(storm.server.is_ready());
    let count = streams.len();
    drop(streams);
    storm.end(
        &format!("more connections than places, {scheme:?}"),
        &format!("{count} connections, {most} places, {held} held"),
    );
}
