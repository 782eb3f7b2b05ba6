//! The plainest use of all.

use rstest::rstest;

use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase};

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
