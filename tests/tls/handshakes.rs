//! Who gets a connection, and what becomes of it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use serde_json::json;

use crate::support::http::Client;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::upstream::{ScriptedUpstream, Step, head, text};
use crate::support::wire::{Connector, Scheme, Wire, hello};
use crate::support::{On, TestDatabase, require, wait};

fn start(database: &TestDatabase) -> Server {
    Launch::on(database).over(Scheme::Https).start()
}

fn connector(config: ClientConfig) -> Connector {
    Connector::Tls(Arc::new(config))
}

#[track_caller]
fn session(wire: &Wire) -> &rustls::ClientConnection {
    let Wire::Tls(stream) = wire else { panic!("the connection has no TLS") };
    &stream.conn
}

#[test]
fn clients_of_tls_1_2_and_1_3_are_served_over_http_1_1() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = start(&database);
    for (version, number) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for protocols in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
            let mut config = server.certificates().client_of(&[version]);
            config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            let wire = connector(config.clone()).connect(server.address()).unwrap();
            assert_eq!(session(&wire).protocol_version(), Some(number));
            let chosen = (!protocols.is_empty()).then_some(&b"http/1.1"[..]);
            assert_eq!(session(&wire).alpn_protocol(), chosen, "{protocols:?}");
            let mut client = Client::over(server.address(), connector(config));
            assert_eq!(client.send("GET", "/healthz", &[], b"").unwrap().status, 200);
        }
        let mut config = server.certificates().client_of(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let error = connector(config).connect(server.address()).unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
}

/// A first message as clients of older versions send it: without extensions.
fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let ciphers = [0xc0, 0x13, 0xc0, 0x14, 0, 0x2f, 0, 0x35];
    let body = [&version[..], &[7; 32], &[0], &[0, 8], &ciphers, &[1, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn clients_of_older_versions_get_an_alert_and_no_connection() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = start(&database);
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&old_hello(version)).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // A record with an alert of two bytes; the first says that it is fatal.
        assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, _]), "{version:?}: {answer:?}");
    }
}

#[test]
fn openssl_connects_by_the_newer_versions_alone() {
    let Some(openssl) = require::program("openssl") else { return require::skipped("there is no openssl") };
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = start(&database);
    let authority = server.certificates().authority_file();
    for (version, is_served) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let output = Command::new(&openssl)
            .args(["s_client", "-connect", &server.address().to_string(), version, "-verify_return_error"])
            // Debian's own settings forbid the older versions to clients, too.
            .args(["-cipher", "DEFAULT@SECLEVEL=0", "-CAfile", authority.to_str().unwrap()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(
            said.contains("Verify return code: 0 (ok)") && output.status.success(),
            is_served,
            "{said}"
        );
        assert_eq!(said.contains("alert"), !is_served, "{said}");
    }
}

#[test]
fn plain_http_is_told_to_use_https() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = start(&database);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /chat/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n"]
    {
        let answer = Client::new(server.address()).raw(request.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
        assert!(answer.error().contains("begin its address with https://"), "{answer:?}");
    }
    for garbage in [&[0x80, 0x2e, 1, 0, 2][..], &[0; 100], &[0xff; 10]] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        // Closing resets the connection, because not all was read.
        let read = stream.read_to_end(&mut answer);
        assert!(read.is_ok_and(|read| read == 0) || answer.is_empty(), "{answer:?}");
    }
}

#[test]
fn a_client_that_comes_back_resumes_its_session() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = start(&database);
    for version in [&TLS12, &TLS13] {
        let connector = connector(server.certificates().client_of(&[version]));
        let kinds = [(); 2].map(|()| {
            let mut wire = connector.connect(server.address()).unwrap();
            // The tickets of TLS 1.3 come before the response.
            wire.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert!(wire.read(&mut [0; 512]).unwrap() > 0);
            session(&wire).handshake_kind()
        });
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)], "{version:?}");
    }
}

/// A hold is charged and settled as over plain HTTP, and long answers arrive whole.
#[rstest]
fn chats_of_all_sizes_are_answered(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = start(&database);
    let token = server.user("ada");
    // Up to 128 KB: a part of a record of TLS, and many of them.
    for length in [1, 900, 1_300, 4_000, 32_000] {
        let message = "\u{1f422}".repeat(length);
        let answer = server.chat(&token, &message);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["response"], format!("Response to {message}"));
    }
    assert_eq!(server.messages(&token).len(), 5);
    assert_eq!(server.tokens(&token), 3_500);
    drop(server);
    assert_verified(&database);
}

/// The end of a connection is a message of TLS, behind which the kernel's own end comes.
#[rstest]
fn a_client_that_leaves_amid_a_stream_is_noticed_at_once(#[values(true, false)] says_goodbye: bool) {
    let upstream = ScriptedUpstream::start();
    upstream.otherwise([head(), text("Hello"), Step::Hang]);
    let url = upstream.url();
    let flags = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "m"];
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Launch::on(&database).flags(&flags).over(Scheme::Https).start();
    let token = server.user("ada");
    let body = json!({ "message": "Hello", "stream": true }).to_string();
    let mut wire = server.connector().connect(server.address()).unwrap();
    write!(
        wire,
        "POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut begun = String::new();
    while !begun.contains("Hello") {
        let mut part = [0; 1024];
        let read = wire.read(&mut part).unwrap();
        assert!(read > 0, "{begun}");
        begun.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    assert!(!upstream.client_is_gone(0));
    match says_goodbye {
        true => wire.close_write(),
        false => drop(wire),
    }
    wait::until("the call to be cancelled", Duration::from_secs(5), || {
        upstream.client_is_gone(0).then_some(())
    });
}

#[rstest]
fn a_stop_finishes_what_is_in_flight_and_waits_for_no_handshake(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let flags = ["--dummy-delay", "2000", "--head-timeout", "60"];
    let mut server = Launch::on(&database).flags(&flags).over(Scheme::Https).start();
    let token = server.user("ada");
    // One connection that is idle after its handshake, and one in the middle of it.
    let mut idle = server.connector().connect(server.address()).unwrap();
    let mut half = TcpStream::connect(server.address()).unwrap();
    half.write_all(&hello(&Arc::new(server.certificates().client()))[..50]).unwrap();
    let mut client = server.client();
    let chat = std::thread::spawn({
        let token = token.clone();
        move || client.post("/chat/", Some(&token), &json!({ "message": "Hello" }))
    });
    wait::until("the hold", Duration::from_secs(20), || {
        let me = server.client().get("/me/", &token).unwrap().json();
        (me["held"] == 100).then_some(())
    });
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(chat.join().unwrap().unwrap().status, 201);
    assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(0), "{}", server.log());
    let took = signalled.elapsed();
    assert!(took < require::patience(Duration::from_secs(5)), "it took {took:?} to stop");
    idle.socket().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let ended = idle.read(&mut [0; 16]);
    assert!(!matches!(&ended, Err(error) if error.kind() == ErrorKind::WouldBlock), "{ended:?}");
    assert_eq!(half.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_verified(&database);
}
