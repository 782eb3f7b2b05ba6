//! Signals change the level of the log while the server runs.

use std::time::Duration;

use rstest::rstest;
use rustix::process::Signal;

use super::log_lines::objects;
use crate::support::server::Server;
use crate::support::{On, TestDatabase, wait};

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the server log at the level *debug*, which it does for each new connection.
fn provoke(server: &Server) {
    assert!(server.is_ready());
    std::thread::sleep(Duration::from_millis(200));
}

fn debug_lines(server: &Server) -> usize {
    server.log().matches("opened a connection").count()
}

/// Sends a signal, and waits until the log tells of it.
fn signal(server: &Server, signal: Signal, says: &str) {
    let before = server.log().matches(says).count();
    server.signal(signal);
    wait::until(says, PATIENCE, || (server.log().matches(says).count() > before).then_some(()));
}

#[rstest]
fn a_signal_raises_the_level_and_another_one_returns_to_the_settings(
    #[values("text", "json")] format: &str,
    #[values("info", "off")] level: &str,
) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let flags = ["--log", level, "--log-format", format];
    // Without its log, only a fixed port tells where the server is.
    let mut server = match level {
        "off" => on_a_fixed_port(&database, &flags),
        _ => Server::start(&database, &flags),
    };
    provoke(&server);
    assert_eq!(debug_lines(&server), 0, "{}", server.log());
    signal(&server, Signal::USR1, "the level of the log is now debug");
    provoke(&server);
    let raised = debug_lines(&server);
    assert!(raised > 0, "{}", server.log());
    signal(&server, Signal::USR1, "the level of the log is now trace");
    signal(&server, Signal::USR1, "the level of the log is now trace");
    signal(&server, Signal::USR2, &format!("is that of --log again, by SIGUSR2: {level}"));
    let raised = debug_lines(&server);
    provoke(&server);
    assert_eq!(debug_lines(&server), raised, "{}", server.log());
    signal(&server, Signal::USR2, &format!("is that of --log again, by SIGUSR2: {level}"));
    assert!(server.is_ready(), "it still serves");
    server.terminate();
    assert!(server.wait(PATIENCE).success());
    if format == "json" {
        assert!(objects(&server.log()).len() >= 5, "{}", server.log());
    }
}

/// Starts a server that does not tell its address.
fn on_a_fixed_port(database: &TestDatabase, flags: &[&str]) -> Server {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = crate::support::server::Launch::on(database).flags(flags).bind(port).spawn();
    server.set_address(([127, 0, 0, 1], port).into());
    wait::until("GET /readyz", PATIENCE, || server.is_ready().then_some(()));
    server
}
