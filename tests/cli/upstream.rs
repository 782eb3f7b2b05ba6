//! The settings of an upstream: a missing one is named, and the key reaches only the upstream.

use super::run_with;
use crate::support::server::{Launch, Server};
use crate::support::upstream::ScriptedUpstream;
use crate::support::{On, TestDatabase, temporary};

const KEY: &str = "sk-a-secret-of-the-operator";

fn flags(url: &str) -> [&str; 6] {
    ["--responder", "openai", "--upstream-url", url, "--upstream-models", "m"]
}

#[test]
fn an_incomplete_upstream_prevents_the_start_and_the_missing_setting_is_named() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let empty = empty.to_str().unwrap();
    let all = flags("http://127.0.0.1:1/v1");
    for (words, missing) in [
        (all[..2].to_vec(), "--upstream-url"),
        (all[..4].to_vec(), "--upstream-models"),
        ([&all[..], &["--upstream-key-file", "/no/such/file"]].concat(), "--upstream-key-file"),
        ([&all[..], &["--upstream-key-file", empty]].concat(), "is empty"),
    ] {
        run_with(&database, &[&["serve"], words.as_slice()].concat(), "").assert_refused(1, missing);
    }
}

fn assert_only_the_upstream_knows_the_key(server: &Server, upstream: &ScriptedUpstream) {
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "hi").status, 201);
    assert_eq!(upstream.requests()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert!(!server.log().contains(KEY), "{}", server.log());
}

#[test]
fn the_key_from_a_file_reaches_the_upstream_and_never_the_log() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let (directory, upstream) = (temporary::directory(), ScriptedUpstream::start());
    let file = directory.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let url = upstream.url();
    let rest = ["--upstream-key-file", file.to_str().unwrap(), "--log", "trace"];
    let server = Server::start(&database, &[&flags(&url)[..], &rest].concat());
    assert_only_the_upstream_knows_the_key(&server, &upstream);
}

#[test]
fn the_key_from_the_environment_reaches_the_upstream_and_never_the_log() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let upstream = ScriptedUpstream::start();
    let variable = format!("TOLLGATE_UPSTREAM_KEY={KEY}");
    let launch = Launch::on(&database).flags(&flags(&upstream.url())).flags(&["--log", "trace"]);
    let server = launch.under(&["env", &variable]).start();
    assert_only_the_upstream_knows_the_key(&server, &upstream);
}
