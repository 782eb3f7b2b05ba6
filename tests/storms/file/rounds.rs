//! Rounds of load, backup, more load, a stop or kill, restore and start. Each start is sound, and
//! has nothing from after the backup.

use std::time::Duration;

use super::{assert_good, back_up, file, run};
use crate::blackbox::load::{self, Load, Outcome, RICH, Sent};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, figures, require};

#[test]
fn a_restore_brings_back_exactly_what_the_backup_has() {
    let rounds = if require::proofs() { 20 } else { 4 };
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let mut sent: Vec<Sent> = Vec::new();
    for round in 0..rounds {
        let before = Load::start(&server, &tokens, &format!("before{round}"));
        before.await_acknowledged(150);
        let before = before.stop();
        // Chats during the backup may or may not be in it.
        let during = Load::start(&server, &tokens, &format!("during{round}"));
        let backup = back_up(&database, &format!("backup{round}.db"));
        let during = during.stop();
        let after = Load::start(&server, &tokens, &format!("after{round}"));
        after.await_acknowledged(150);
        if round % 2 == 0 {
            server.terminate();
            assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(0), "{}", server.log());
        } else {
            server.kill9();
        }
        let after = after.stop();
        assert!(after.iter().any(|one| matches!(one.outcome, Outcome::Acknowledged(_))));
        assert_good(&run(&database, &["restore", "--delete-old", backup.to_str().unwrap()]));
        assert_verified(&database);
        server = Server::start(&database, &RICH);
        sent.extend(before);
        // This checks the balances, too.
        load::assert_books(&server, &tokens, &sent);
        for token in &tokens {
            let messages = server.messages(token);
            let label = format!("after{round}-");
            let late = messages.iter().find(|message| message.starts_with(&label));
            assert!(late.is_none(), "{late:?} is from after the backup");
            sent.extend(
                during
                    .iter()
                    .filter(|one| one.token == *token && messages.contains(&one.message))
                    .map(copy_of)
                    .collect::<Vec<_>>(),
            );
        }
        std::fs::remove_file(backup).unwrap();
    }
    assert_eq!(super::names(&database).iter().filter(|name| name.contains("restore")).count(), 0);
    assert!(file(&database).exists());
    figures::report("load, backup, load, end, restore, start", &format!("{rounds} of {rounds} rounds sound"));
}

/// Copies a chat that was sent during the backup and is in it, so that later rounds expect it, too.
fn copy_of(one: &Sent) -> Sent {
    let outcome = match one.outcome {
        Outcome::Acknowledged(id) => Outcome::Acknowledged(id),
        // Not confirmed to its client, but stored.
        _ => Outcome::Refused(503),
    };
    let (token, message, key) = (one.token.clone(), one.message.clone(), one.key.clone());
    Sent { token, message, key, outcome, took: one.took }
}
