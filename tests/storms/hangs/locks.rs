//! Another transaction's lock delays only those who need the locked rows.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::RICH;
use super::crowd::{Chatter, Crowd, row};
use super::probe::{Probe, ask};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, figures, require, wait};

const USERS: usize = 8;
/// The user whose rows are locked.
const VICTIM: usize = 0;
/// The longest time without a chat for the others. (Generous, for debug builds beside other tests.)
const PAUSE: Duration = Duration::from_millis(1500);
/// The longest wait for any response.
const ANSWER: Duration = Duration::from_secs(7);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    User,
    UserAsForDeletion,
    Conversation,
    Chats,
    LedgerEntries,
    AuthTokens,
    Advisory,
    FollowerMarks,
}

impl Lock {
    fn statements(self) -> &'static str {
        match self {
            Lock::User => "SELECT 1 FROM users WHERE username = 'user0' FOR NO KEY UPDATE",
            Lock::UserAsForDeletion => "SELECT 1 FROM users WHERE username = 'user0' FOR UPDATE",
            Lock::Conversation => "SELECT 1 FROM conversations FOR UPDATE",
            // Not pending ones: a lock on one would delay its settlement.
            Lock::Chats => "SELECT 1 FROM chats WHERE state = 'complete' FOR UPDATE",
            Lock::LedgerEntries => "SELECT 1 FROM ledger_entries FOR UPDATE",
            Lock::AuthTokens => "SELECT 1 FROM auth_tokens FOR UPDATE",
            Lock::Advisory => "SELECT pg_advisory_xact_lock(1), pg_advisory_xact_lock(1953459308, 0)",
            // Only the follower waits, in the bulk lane.
            Lock::FollowerMarks => "SELECT 1 FROM follower_marks FOR UPDATE",
        }
    }

    /// Returns what is locked, for the figures.
    fn what(self) -> &'static str {
        match self {
            Lock::User => "a user's row",
            Lock::UserAsForDeletion => "a user's row, as for its deletion",
            Lock::Conversation => "a user's conversation",
            Lock::Chats => "all answered chats",
            Lock::LedgerEntries => "all ledger entries",
            Lock::AuthTokens => "all auth tokens",
            Lock::Advisory => "an advisory lock of ours",
            Lock::FollowerMarks => "the follower's marks",
        }
    }

    /// Returns whether the short version tests it. That has one of each kind.
    fn is_in_short(self) -> bool {
        matches!(self, Lock::User | Lock::Conversation | Lock::Chats | Lock::AuthTokens)
    }

    /// Returns whether the victim can chat meanwhile.
    fn lets_the_victim_chat(self) -> bool {
        !matches!(self, Lock::User | Lock::UserAsForDeletion | Lock::Conversation)
    }
}

#[rstest]
fn a_lock_delays_only_the_user_whose_rows_it_locks(
    #[values(
        Lock::User,
        Lock::UserAsForDeletion,
        Lock::Conversation,
        Lock::Chats,
        Lock::LedgerEntries,
        Lock::AuthTokens,
        Lock::Advisory,
        Lock::FollowerMarks
    )]
    lock: Lock,
) {
    if !(require::proofs() || require::long() && lock.is_in_short()) {
        return;
    }
    let span = Duration::from_secs(if require::proofs() { 20 } else { 4 });
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let server = Server::start(&database, &RICH);
    let tokens: Vec<String> = (0..USERS).map(|number| server.user(&format!("user{number}"))).collect();
    let conversation = conversation(&server, &tokens[VICTIM]);
    let chatter = |(user, token): (usize, &String)| Chatter {
        address: server.address(),
        token: token.clone(),
        conversation: (user == VICTIM).then_some(conversation),
    };
    let crowd = Crowd::start(tokens.iter().enumerate().map(chatter).collect());
    let probe = Probe::start(&server);
    crowd.run_for(Duration::from_secs(2));
    let mut keeper = PgConnection::establish(database.url()).unwrap();
    keeper.batch_execute(&format!("BEGIN; {}", lock.statements())).unwrap();
    let from = crowd.now();
    crowd.run_for(span);
    let to = crowd.now();
    keeper.batch_execute("ROLLBACK").unwrap();
    crowd.run_for(Duration::from_secs(2));
    let (end, seen, probed) = (crowd.now(), crowd.stop(), probe.stop());
    let others: Vec<usize> = (0..USERS).filter(|user| *user != VICTIM).collect();
    figures::report(
        &format!("{} locked from second {} for {} s", lock.what(), from.as_secs(), span.as_secs()),
        &format!("chats/s of the 7 others: {}", row(&seen.per_second(&others, Duration::ZERO, end))),
    );
    let gap = seen.longest_gap(&others, from, end);
    assert!(gap < require::patience(PAUSE), "the others got nothing for {gap:?}\n{}", server.log());
    assert!(seen.slowest() < require::patience(ANSWER), "somebody waited for {:?}", seen.slowest());
    seen.assert_unbroken();
    let victims = seen.longest_gap(&[VICTIM], from, to);
    let lets = lock.lets_the_victim_chat();
    assert_eq!(victims < span / 2, lets, "the victim got nothing for {victims:?}\n{}", server.log());
    let after = seen.longest_gap(&[VICTIM], to + Duration::from_secs(1), end);
    assert!(after < require::patience(PAUSE), "the victim got nothing for {after:?} after the lock");
    probed.assert_in_time();
    assert!(probed.0.iter().all(|probed| probed.status == 200), "the node must stay ready: {:?}", probed.0);
    assert_verified(&database);
}

/// Creates a conversation. Returns its id.
fn conversation(server: &Server, token: &str) -> i64 {
    let answer = server.client().post("/conversations/", Some(token), &json!({"title": "a talk"})).unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_i64().expect("a conversation has an id")
}

/// Settling a hold and logging in write to the victim's row, as a charge does.
#[test]
fn settlements_and_log_ins_of_a_locked_user_delay_nobody_else() {
    if !require::long() {
        return;
    }
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let server = Server::start(&database, &["--opening-tokens", "100000000", "--dummy-delay", "30"]);
    let tokens: Vec<String> = (0..USERS).map(|number| server.user(&format!("user{number}"))).collect();
    let crowd = Crowd::at(server.address(), &tokens);
    crowd.run_for(Duration::from_secs(2));
    let mut keeper = PgConnection::establish(database.url()).unwrap();
    keeper.batch_execute("BEGIN; SELECT 1 FROM users WHERE username = 'user0' FOR UPDATE").unwrap();
    let from = crowd.now();
    let mut client = server.client();
    for _ in 0..2 {
        let body = json!({"username": "user0", "password": crate::support::server::PASSWORD});
        let asked = Instant::now();
        let answer = client.post("/login/", None, &body).unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(asked.elapsed() < require::patience(ANSWER), "a log-in took {:?}", asked.elapsed());
    }
    let to = crowd.now();
    keeper.batch_execute("ROLLBACK").unwrap();
    crowd.run_for(Duration::from_secs(2));
    let seen = crowd.stop();
    let others: Vec<usize> = (0..USERS).filter(|user| *user != VICTIM).collect();
    let gap = seen.longest_gap(&others, from, to);
    assert!(gap < require::patience(PAUSE), "the others got nothing for {gap:?}\n{}", server.log());
    // Every charge is settled or refunded.
    wait::until("the holds to end", Duration::from_secs(20), || {
        let mut raw = PgConnection::establish(database.url()).unwrap();
        let ended = raw.batch_execute(
            "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM chats WHERE state = 'pending'); END $$",
        );
        ended.ok()
    });
    assert_verified(&database);
}

#[test]
fn a_locked_table_gives_everybody_503_in_time_and_the_server_is_not_ready() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let server = Server::start(&database, &RICH);
    let tokens: Vec<String> = (0..4).map(|number| server.user(&format!("user{number}"))).collect();
    let mut keeper = PgConnection::establish(database.url()).unwrap();
    keeper.batch_execute("BEGIN; LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").unwrap();
    let crowd = Crowd::at(server.address(), &tokens);
    let mut client = server.client();
    wait::until("readiness to end", Duration::from_secs(10), || {
        (ask(&mut client).status == 503).then_some(())
    });
    for _ in 0..3 {
        let probed = ask(&mut client);
        assert_eq!((probed.status, probed.reason.as_deref()), (503, Some("writer")), "{probed:?}");
        assert!(probed.took < require::patience(Duration::from_millis(2500)), "{probed:?}");
    }
    crowd.run_for(Duration::from_secs(4));
    let to = crowd.now();
    keeper.batch_execute("ROLLBACK").unwrap();
    crowd.run_for(Duration::from_secs(3));
    wait::until("readiness", Duration::from_secs(10), || (ask(&mut client).status == 200).then_some(()));
    let (end, seen) = (crowd.now(), crowd.stop());
    assert!(seen.slowest() < require::patience(ANSWER), "somebody waited for {:?}", seen.slowest());
    let after = seen.longest_gap(&[0, 1, 2, 3], to + Duration::from_secs(1), end);
    assert!(
        after < require::patience(Duration::from_secs(2)),
        "it did not recover: {after:?}\n{}",
        server.log()
    );
    assert_verified(&database);
}
