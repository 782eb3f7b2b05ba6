//! Helpers for tests with a scripted upstream.

use serde_json::Value;

use crate::support::On;
use crate::support::app::{Answer, TestApp};
use crate::support::upstream::ScriptedUpstream;

/// Starts a server with a scripted upstream, the models `m` and `vendor/other`, and one user.
/// `None` if this machine does not have the database.
pub async fn spawn(on: On, flags: &[&str]) -> Option<(TestApp, ScriptedUpstream, String)> {
    let upstream = ScriptedUpstream::start();
    let url = upstream.url();
    let mut all =
        vec!["--responder", "openai", "--upstream-url", &url, "--upstream-models", "m,vendor/other"];
    all.extend(flags);
    let app = TestApp::spawn_with(on, &all).await?;
    app.services.toll.note_models().await.unwrap();
    let token = app.user("ada").await;
    Some((app, upstream, token))
}

/// Returns the events of a stream: name and data of each. A missing name is empty.
pub fn events(answer: &Answer) -> Vec<(String, String)> {
    answer.assert_header("content-type", "text/event-stream; charset=utf-8");
    let text = answer.text();
    let events = text.split_terminator("\n\n").filter(|event| !event.starts_with(':'));
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    events.map(|event| (field(event, "event: "), field(event, "data: "))).collect()
}

/// Returns the data of all events as JSON, without `[DONE]`.
pub fn data(answer: &Answer) -> Vec<Value> {
    let events = events(answer).into_iter().filter(|(_, data)| data != "[DONE]");
    events
        .map(|(_, data)| serde_json::from_str(&data).unwrap_or_else(|_| panic!("not JSON: {data}")))
        .collect()
}
