//! TLS handshakes as a means of attack: each costs the server a signature, and the client nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::log_ins::StopOnDrop;
use super::storm::{Storm, size};
use crate::support::require::patience;
use crate::support::sockets::connect_from;
use crate::support::wait;
use crate::support::wire::{Scheme, hello};

/// The threads of the flood. They take part of the machine themselves.
const ATTACKERS: usize = 2;
/// The time in which somebody who has no connection yet must be served.
const PROMPT: Duration = Duration::from_secs(1);

/// Sends the same first message again and again, each on a new connection, and waits for the
/// server's answer, which has the signature.
fn flood(server: SocketAddr, number: usize, hello: &[u8], stop: &AtomicBool, computed: &AtomicUsize) {
    let own = Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).unwrap());
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = connect_from(own, server) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        if stream.write_all(hello).and_then(|()| stream.read_exact(&mut [0; 5])).is_ok() {
            computed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The honest user has a connection. Here, newcomers make a handshake, too.
#[test]
fn a_flood_of_handshakes_keeps_nobody_out() {
    let Some(storm) = Storm::begin_over(Scheme::Https, &[]) else { return };
    let hello = hello(&Arc::new(storm.server.certificates().client()));
    let (stop, computed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let newcomers = size(60, 12);
    let mut slowest = Duration::ZERO;
    std::thread::scope(|threads| {
        for number in 0..ATTACKERS {
            let (server, hello, stop, computed) = (storm.server.address(), &hello, &stop, &computed);
            threads.spawn(move || flood(server, number, hello, stop, computed));
        }
        let _stop = StopOnDrop(&stop);
        wait::until("the flood", Duration::from_secs(30), || {
            (computed.load(Ordering::Relaxed) > 100).then_some(())
        });
        for _ in 0..newcomers {
            let begun = Instant::now();
            assert!(storm.server.is_ready(), "a newcomer was not served");
            slowest = slowest.max(begun.elapsed());
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    assert!(slowest < patience(PROMPT), "a newcomer waited for {slowest:?}");
    let handshakes = computed.into_inner();
    let figures = format!(
        "{handshakes} handshakes begun and left; slowest of {newcomers} newcomers {} ms",
        slowest.as_millis()
    );
    storm.end("a flood of TLS handshakes", &figures);
}
