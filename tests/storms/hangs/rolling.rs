//! A rolling restart of three nodes behind a proxy, under load. The proxies run with the files in
//! `deploy/`.

use std::time::Duration;

use rstest::rstest;

use super::crowd::{Crowd, row};
use crate::support::balancer::{Balancer, Kind, free_port};
use crate::support::http::Client;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase, figures, require, wait};

const USERS: usize = 6;

/// Starts a proxy with its file in `deploy/`, except for the ports.
fn balancer(kind: Kind, nodes: &[u16; 3]) -> Option<Balancer> {
    let text = match kind {
        Kind::Haproxy => include_str!("../../../deploy/haproxy.cfg"),
        Kind::Nginx => include_str!("../../../deploy/nginx.conf"),
        Kind::Caddy => unreachable!("no rolling restart is tested behind it"),
    };
    let port = free_port();
    let ports = [(8001, nodes[0]), (8002, nodes[1]), (8003, nodes[2]), (8080, port)];
    let changes = ports.map(|(example, port)| (format!("127.0.0.1:{example}"), format!("127.0.0.1:{port}")));
    Balancer::start(kind, port, text, &changes)
}

fn node(database: &TestDatabase, port: u16) -> Server {
    let flags = ["--opening-tokens", "100000000", "--drain-delay", "4", "--trusted-proxies", "127.0.0.1"];
    Launch::on(database).bind(port).flags(&flags).start()
}

#[rstest]
fn a_rolling_restart_behind_a_proxy_breaks_no_request(#[values(Kind::Haproxy, Kind::Nginx)] kind: Kind) {
    if !(require::proofs() || require::long() && matches!(kind, Kind::Haproxy)) {
        return;
    }
    let rounds = if require::proofs() { 2 } else { 1 };
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let ports = [free_port(), free_port(), free_port()];
    let Some(balancer) = balancer(kind, &ports) else { return };
    let mut nodes: Vec<Server> = ports.iter().map(|port| node(&database, *port)).collect();
    let tokens: Vec<String> = (0..USERS).map(|number| nodes[0].user(&format!("user{number}"))).collect();
    let mut client = Client::new(balancer.address());
    wait::until("the proxy", Duration::from_secs(20), || {
        client.send("GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200).then_some(())
    });
    let crowd = Crowd::at(client.address(), &tokens);
    crowd.run_for(Duration::from_secs(1));
    for place in (0..nodes.len()).cycle().take(nodes.len() * rounds) {
        nodes[place].terminate();
        assert!(nodes[place].wait(Duration::from_secs(16)).success(), "{}", nodes[place].log());
        nodes[place] = node(&database, ports[place]);
        // The proxy must notice that this node is back before the next one stops.
        crowd.run_for(Duration::from_millis(2500));
    }
    let (end, seen) = (crowd.now(), crowd.stop());
    let everybody: Vec<usize> = (0..USERS).collect();
    let answered: usize = everybody.iter().map(|user| seen.count(*user, 201)).sum();
    let sent: usize = seen.0.iter().map(Vec::len).sum();
    figures::report(
        &format!("{} nodes are restarted one after the other behind {kind:?}", nodes.len() * rounds),
        &format!(
            "{answered} of {sent} chats answered; by second: {}",
            row(&seen.per_second(&everybody, Duration::ZERO, end))
        ),
    );
    assert_eq!(answered, sent, "requests were broken");
    assert_verified(&database);
}

#[test]
fn a_second_signal_ends_the_drain_delay() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Server::start(&database, &["--drain-delay", "60"]);
    let token = server.user("ada");
    let mut client = server.client();
    server.terminate();
    wait::until("readiness to end", Duration::from_secs(5), || (!server.is_ready()).then_some(()));
    // The node still serves requests, on new connections too, and keeps no connection open.
    for client in [&mut client, &mut server.client()] {
        let answer = client.get("/tokens/", &token).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
    }
    server.terminate();
    assert!(server.wait(Duration::from_secs(10)).success(), "{}", server.log());
    assert!(server.log().contains("listening for 60 s"), "{}", server.log());
}
