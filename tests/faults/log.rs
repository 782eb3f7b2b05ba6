//! What the log says about a rejected call: status, code and field, and never the upstream's words.

use rstest::rstest;

use super::ask::Way;
use super::world::{PATIENCE, World};
use crate::support::On;
use crate::support::http::Client;
use crate::support::upstream::status;
use crate::support::wait;

#[rstest]
fn a_rejected_call_is_logged_with_its_status_code_and_field(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &[]) else { return };
    let body = r#"{"error":{"message":"gossip: 'hot' is no number","type":"invalid_request_error",
        "param":"temperature","code":"invalid_type"}}"#;
    world.upstream.next(status(400, &[("content-type", "application/json")], body));
    let token = world.server.user("ada");
    let mut client = Client::new(world.server.address());
    let answer = client.post(Way::V1.path(), Some(&token), &Way::V1.body()).unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!((&error["param"], &error["code"]), (&"temperature".into(), &"request_refused".into()));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let line = format!(
        "model m, request {}: status 400, code invalid_type, field temperature: the model did not accept the \
         request",
        answer.header("x-request-id").unwrap()
    );
    wait::until("the line in the log", PATIENCE, || world.server.log().contains(&line).then_some(()));
    world.close();
}
