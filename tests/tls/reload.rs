//! The files of the certificate change while the server runs.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::certificates::{Certificates, Issued};
use crate::support::server::{Launch, Server};
use crate::support::wire::Wire;
use crate::support::{On, TestDatabase, wait};

/// The server looks at the files every two seconds, and must see the same twice.
const SOON: Duration = Duration::from_secs(20);
/// Longer than three looks.
const A_WHILE: Duration = Duration::from_secs(7);
const LOADED: &str = "loaded the TLS certificate again";
const REJECTED: &str = "the one from before stays in use";

fn start() -> Option<(TestDatabase, Arc<Certificates>, Server)> {
    let database = TestDatabase::create(On::Sqlite)?;
    let certificates = Arc::new(Certificates::new());
    let server = Launch::on(&database).with(&certificates).start();
    Some((database, certificates, server))
}

/// Returns the certificate that a new connection gets.
fn shown(server: &Server) -> Vec<u8> {
    server.connector().connect(server.address()).unwrap().certificate().unwrap()
}

fn await_certificate(server: &Server, issued: &Issued) {
    let wanted = issued.der();
    wait::until("the new certificate", SOON, || (shown(server) == wanted).then_some(()));
}

/// Asks over an open connection.
fn ask(wire: &mut Wire) -> String {
    wire.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    while !answer.contains("\r\n\r\n") {
        let mut part = [0; 1024];
        let read = wire.read(&mut part).unwrap();
        assert!(read > 0, "the connection has ended: {answer}");
        answer.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    answer
}

#[test]
fn new_connections_get_the_new_certificate_and_old_ones_go_on() {
    let Some((_database, certificates, server)) = start() else { return };
    let mut old = server.connector().connect(server.address()).unwrap();
    assert!(ask(&mut old).starts_with("HTTP/1.1 200"));
    let before = old.certificate().unwrap();
    let new = certificates.issue(60);
    assert_ne!(before, new.der());
    certificates.write(&new);
    await_certificate(&server, &new);
    assert!(ask(&mut old).starts_with("HTTP/1.1 200"), "the old connection still works");
    assert_eq!(old.certificate().unwrap(), before);
    assert_eq!(server.log().matches(LOADED).count(), 1, "{}", server.log());
    assert!(!server.log().contains(REJECTED), "{}", server.log());
}

#[test]
fn until_both_files_belong_together_the_old_pair_is_used_and_the_log_says_so_once() {
    let Some((_database, certificates, server)) = start() else { return };
    let before = shown(&server);
    let new = certificates.issue(60);
    let half = &new.certificate[..new.certificate.len() / 2];
    for (content, why) in [(half, "cut short"), (new.certificate.as_str(), "does not belong")] {
        certificates.write_certificate(content);
        wait::until(why, SOON, || server.log().contains(why).then_some(()));
        std::thread::sleep(A_WHILE);
        assert_eq!(server.log().matches(why).count(), 1, "{}", server.log());
        assert_eq!(shown(&server), before);
    }
    assert_eq!(server.log().matches(REJECTED).count(), 2, "{}", server.log());
    certificates.write_key(&new.key);
    await_certificate(&server, &new);
    std::fs::remove_file(certificates.key_file()).unwrap();
    wait::until("the log", SOON, || {
        server.log().contains("--tls-key: the file cannot be read").then_some(())
    });
    assert_eq!(shown(&server), new.der());
    certificates.write_key(&new.key);
    wait::until("the log", SOON, || (server.log().matches(LOADED).count() == 2).then_some(()));
    let secret = new.key.lines().nth(1).unwrap();
    assert!(!server.log().contains(secret) && !server.log().contains(&secret[..20]));
}

#[test]
fn a_change_breaks_no_handshake() {
    let Some((_database, certificates, server)) = start() else { return };
    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert!(server.is_ready(), "a handshake or a request failed");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = Stop(&stop);
        for days in [50, 51, 52] {
            let new = certificates.issue(days);
            certificates.write(&new);
            await_certificate(&server, &new);
        }
    });
    assert_eq!(server.log().matches(LOADED).count(), 3, "{}", server.log());
    assert!(made.into_inner() > 10);
}

/// Ends the threads of a scope even if the test fails in it.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
