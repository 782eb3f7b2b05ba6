//! Clients that do not come to the end of a TLS handshake.

use std::time::Duration;

use super::{Case, HEAD, Scene, Then, assert_limits};
use crate::support::wire::{Connector, Scheme, hello};

fn case(what: &str, first: &[u8], then: Then, at_least: f64, at_most: f64) -> Case {
    Case { what: what.to_owned(), first: first.to_vec(), then, is_deaf: false, at_least, at_most }
}

/// A record of TLS that says it has a handshake message of this length, and contains its beginning.
fn record(length: u16, content: &[u8]) -> Vec<u8> {
    [&[0x16, 3, 1][..], &length.to_be_bytes(), content].concat()
}

fn cases(hello: &[u8]) -> Vec<Case> {
    let half = &hello[..hello.len() / 2];
    let drip = |bytes: &[u8]| Then::Drip(bytes.to_vec());
    // The longest message that a handshake can have, in as many records as one likes.
    let endless = record(16_384, &[&[1, 0xff, 0xff, 0xff][..], &[0; 16_380]].concat());
    let get: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let later = Then::Later(Duration::from_millis(500), half.to_vec());
    vec![
        case("nothing", b"", Then::Nothing, HEAD, HEAD),
        case("one byte", &[0x16], Then::Nothing, HEAD, HEAD),
        case("half a hello", half, Then::Nothing, HEAD, HEAD),
        case("half a hello later", b"", later, HEAD, HEAD),
        case("half a hello, half closed", half, Then::HalfClose, 0.0, HEAD),
        case("a hello that drips", &record(16_384, &[1, 0, 0x3f]), drip(&[0]), HEAD, HEAD),
        case("a hello without end", &record(16_384, &[1, 0xff]), Then::Flood(vec![0; 4096]), 0.0, HEAD),
        case("records without end", &endless, Then::Flood(record(16_384, &[0; 16_384])), 0.0, HEAD),
        case("a hello, and no more", hello, Then::Nothing, HEAD, HEAD),
        case("a hello, then bytes that drip", hello, drip(&[0x14]), 0.0, HEAD),
        case("a hello, then a request", &[hello, get].concat(), Then::Nothing, 0.0, HEAD),
        case("a hello twice", &[hello, hello].concat(), Then::Nothing, 0.0, HEAD),
        case("a request without TLS", get, Then::Nothing, 0.0, HEAD),
        case("requests without TLS that drip", get, drip(get), 0.0, HEAD),
        case("half a request without TLS", b"GET /", drip(b"x"), 0.0, HEAD),
        case("an old hello", &[0x80, 0x2e, 1, 0, 2], Then::Nothing, 0.0, HEAD),
        case("zeros", &[0; 4096], Then::Flood(vec![0; 4096]), 0.0, HEAD),
    ]
}

#[test]
fn no_handshake_outlives_its_limit_and_none_is_cut_short() {
    let Some(scene) = Scene::new(Scheme::Https, "1") else { return };
    let config = std::sync::Arc::new(scene.server.certificates().client());
    assert_limits(&scene.server, &Connector::Plain, cases(&hello(&config)));
    assert_eq!(scene.server.chat(&scene.token, "still there?").status, 201);
    let log = scene.server.log();
    assert!(!log.contains("panicked"), "{log}");
}
