//! The simplest use: register, log in, chat, read the balance.

use std::time::Duration;

use rstest::rstest;

use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, wait};

#[rstest]
fn a_user_registers_logs_in_chats_and_sees_the_balance_fall(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let answer = server.chat(&token, "Hello");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (201, r#"{"message":"Hello","response":"Response to Hello"}"#)
    );
    assert_eq!(server.tokens(&token), 3900);
    assert_eq!(server.messages(&token), ["Hello"]);
    drop(server);
    assert_verified(&database);
}

#[test]
fn little_free_disk_space_causes_a_warning() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &["--min-free-disk", "1000000000000"]);
    wait::until("the warning", Duration::from_secs(10), || {
        server.log().contains("little disk space").then_some(())
    });
}
