//! `tollgate health`: what container engines and scripts ask.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use super::{Said, tollgate_in};
use crate::support::certificates::Certificates;
use crate::support::server::{Launch, Server};
use crate::support::{On, TestDatabase, temporary, wait};

/// Runs it with the address of a server.
fn health(server: &Server, words: &[&str]) -> Said {
    let bind = server.address().to_string();
    let words = [&["health", "--bind", &bind][..], words].concat();
    tollgate_in(temporary::directory().path(), &words, &[])
}

#[test]
fn a_server_that_drains_is_alive_and_not_ready() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Server::start(&database, &["--drain-delay", "60"]);
    for (words, word) in [(&[][..], "alive\n"), (&["--ready"][..], "ready\n")] {
        let said = health(&server, words);
        said.assert_good();
        assert_eq!(said.out, word);
    }
    let document = health(&server, &["--ready", "--json"]).json();
    assert_eq!(document["ok"], true);
    assert_eq!(document["url"], format!("http://{}/readyz", server.address()));
    assert!(document["seconds"].as_f64().is_some(), "{document}");

    server.terminate();
    wait::until("the drain", Duration::from_secs(20), || (!server.is_ready()).then_some(()));
    health(&server, &[]).assert_good();
    let draining = health(&server, &["--ready", "--json"]);
    draining.assert_refused(1, "answers with status 503");
    assert!(draining.json()["error"].as_str().unwrap().contains("503"), "{draining:?}");
    server.kill9();
    health(&server, &[]).assert_refused(1, "cannot be reached");
}

/// The certificate is for other names, and its authority is known to nobody.
#[test]
fn a_server_with_tls_is_asked_over_tls() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let certificates = Arc::new(Certificates::new());
    certificates.write(&certificates.issue(-1));
    let mut server = Launch::on(&database).with(&certificates).spawn();
    assert!(server.listening_or_dead().is_some(), "{}", server.log());
    health(&server, &certificates.flags()).assert_good();
    health(&server, &[]).assert_refused(1, "answers with status 400");
}

#[test]
fn the_address_comes_from_the_settings_of_the_server() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let directory = temporary::directory();
    // The server of a container listens on all addresses.
    let all = format!("0.0.0.0:{}", server.address().port());
    tollgate_in(directory.path(), &["health"], &[("TOLLGATE_BIND", &all)]).assert_good();
    std::fs::write(directory.path().join("tollgate.toml"), format!("bind = \"{all}\"\n")).unwrap();
    tollgate_in(directory.path(), &["--config", "tollgate.toml", "health"], &[]).assert_good();
    tollgate_in(directory.path(), &["health", "--bind", "127.0.0.1:0"], &[]).assert_refused(1, "port 0");
}

#[test]
fn a_server_that_hangs_is_not_well() {
    // It accepts the connection, and nobody answers.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = hangs.local_addr().unwrap().to_string();
    let words = ["health", "--bind", &bind, "--timeout", "1"];
    let said = tollgate_in(temporary::directory().path(), &words, &[]);
    said.assert_refused(1, "does not answer within 1 s");
}
