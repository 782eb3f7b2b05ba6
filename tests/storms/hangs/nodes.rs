//! Three nodes on one PostgreSQL, one of which vanishes silently.

use std::time::Duration;

use super::RICH;
use super::crowd::{Chatter, Crowd, row};
use crate::support::postgres::Cluster;
use crate::support::proxy::Proxy;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{TestDatabase, figures, require, wait};

const USERS: usize = 6;
/// The longest time without a chat: 2 s. (A little more, for debug builds beside other tests.)
const DELAY: Duration = Duration::from_millis(2500);

/// The connection between one node and the database stalls in the middle of its transactions, and
/// nobody closes anything. The other nodes serve the same users.
#[test]
fn a_node_that_vanishes_in_a_transaction_delays_nobody_for_long() {
    if !require::long() {
        return;
    }
    let span = Duration::from_secs(if require::proofs() { 40 } else { 8 });
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = TestDatabase::from(cluster.database());
    let first = Server::start(&database, &RICH);
    let tokens: Vec<String> = (0..USERS).map(|number| first.user(&format!("user{number}"))).collect();
    let proxy = Proxy::start(database.url());
    let url = proxy.url(database.url());
    let vanishing = Launch::at(&url).flags(&RICH).start();
    let second = Server::start(&database, &RICH);
    let on = |server: &Server, tokens: &[String]| {
        let address = server.address();
        let chatter = move |token: &String| Chatter { address, token: token.clone(), conversation: None };
        tokens.iter().map(chatter).collect::<Vec<_>>()
    };
    // The same users at all nodes.
    let doomed = Crowd::start(on(&vanishing, &tokens));
    let halves = tokens.split_at(USERS / 2);
    let crowd = Crowd::start([on(&first, halves.0), on(&second, halves.1)].concat());
    crowd.run_for(Duration::from_secs(3));
    proxy.stall_at_commit();
    wait::until("a transaction to stall", Duration::from_secs(10), || proxy.is_stalled().then_some(()));
    let from = crowd.now();
    crowd.run_for(span);
    let (to, seen) = (crowd.now(), crowd.stop());
    let everybody: Vec<usize> = (0..USERS).collect();
    figures::report(
        &format!("one of three nodes vanishes in second {}", from.as_secs()),
        &format!("chats/s at the two others: {}", row(&seen.per_second(&everybody, Duration::ZERO, to))),
    );
    let gap = seen.longest_gap(&everybody, from, to);
    assert!(gap < require::patience(DELAY), "somebody got nothing for {gap:?}\n{}", first.log());
    let lost = doomed.stop();
    assert!(
        lost.slowest() < Duration::from_secs(8),
        "the node left somebody waiting for {:?}",
        lost.slowest()
    );
    lost.assert_unbroken();
    proxy.resume();
    assert_verified(&database);
}
