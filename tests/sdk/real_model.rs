//! The instructions of `docs/upstreams.md` for a streamed answer of a real model, followed to the
//! letter.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::meter::events;
use super::programs::{Program, Sdks};
use crate::readme::{ADDRESS, block, run, section, session};
use crate::support::server::{Launch, assert_verified};
use crate::support::{On, TestDatabase, model};

const TITLE: &str = "Put a real model behind it";

fn instructions() -> &'static str {
    section(include_str!("../../docs/upstreams.md"), TITLE)
}

/// Returns the two commands that keep running.
fn commands() -> (&'static str, &'static str) {
    let indented: Vec<_> = instructions().lines().filter_map(|line| line.strip_prefix("    ")).collect();
    // Those of the Python program come after them.
    let [model, server, ..] = indented[..] else { panic!("{indented:?}") };
    (model, server)
}

/// Returns the kinds of events in order, each with the keys of its data: everything in a stream
/// except what the model says.
fn shape(stream: &str) -> Vec<(String, BTreeSet<String>)> {
    let keys = |data: &Value| data.as_object().expect("an object").keys().cloned().collect();
    let mut shape: Vec<_> = events(stream).iter().map(|(name, data)| (name.clone(), keys(data))).collect();
    shape.dedup();
    shape
}

#[test]
fn the_document_leads_from_nothing_to_a_streamed_answer_of_a_real_model() {
    let Some(place) = Sdks::Python.installed() else { return };
    let Some(model) = model::shared() else { return };
    let (first, second) = commands();
    // The shared model was started like this, except for the port.
    assert_eq!(first, "./scripts/model 8081");
    let flags = second.strip_prefix("cargo run --release -- ").expect("the second command runs the server");
    let flags = flags.replace("8081", &model.port().to_string());
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    let mut server = Launch::on(&database).flags(&flags).start();

    let mut steps = session(instructions());
    // The section says how to see the token.
    steps.push(("echo $TOKEN".to_owned(), String::new()));
    let [(_, signed_up), (_, streamed), _] = &steps[..] else { panic!("four commands in all: {steps:?}") };
    let printed = run(&steps, &server);
    assert_eq!(&printed[0], signed_up.trim());
    assert_eq!(shape(&printed[1]), shape(streamed), "{}", printed[1]);

    let token = &printed[2];
    let snippet = block(instructions(), "python");
    for placeholder in [ADDRESS, "tg_…"] {
        assert!(snippet.contains(placeholder), "{snippet}");
    }
    let program = snippet.replace(ADDRESS, &server.address().to_string()).replace("tg_…", token);
    let said = Program::new(&place, "snippet.py", Some(&program)).run();
    assert!(!said.trim().is_empty());
    assert_eq!(server.tokens(token), 3800);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    assert_verified(&database);
}
