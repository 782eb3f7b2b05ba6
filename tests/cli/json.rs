//! `--json`: each command writes one document, with the same keys each time.

use rstest::rstest;
use serde_json::{Value, json};

use super::{run, run_with};
use crate::support::server::{PASSWORD, Server};
use crate::support::{On, TestDatabase, temporary};

fn keys(document: &Value) -> Vec<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}

#[rstest]
fn each_command_writes_one_document(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let migrated = run(&database, &["migrate", "--json"]);
    migrated.assert_good();
    let applied = migrated.json()["applied"].as_array().unwrap().clone();
    assert!(applied.len() > 3, "{migrated:?}");
    assert_eq!(run(&database, &["migrate", "--json"]).json(), json!({ "applied": [] }));
    let status = run(&database, &["migrate", "--status", "--json"]).json();
    assert_eq!(status["migrations"].as_array().unwrap().len(), applied.len());
    assert_eq!(status["migrations"][0], json!({ "name": applied[0], "applied": true }));
    let down = run(&database, &["migrate", "--down", "--json"]);
    assert_eq!(down.json(), json!({ "reverted": applied.last() }));
    run(&database, &["migrate"]).assert_good();

    let create = ["createsuperuser", "--username", "root", "--password-stdin", "--json"];
    assert_eq!(run_with(&database, &create, PASSWORD).json(), json!({ "username": "root" }));
    let change = ["changepassword", "--username", "root", "--password-stdin", "--json"];
    assert_eq!(run_with(&database, &change, "another pass phrase 9").json(), json!({ "username": "root" }));
    let adjusted = run(&database, &["adjust", "root", "5", "--note", "a gift", "--json"]);
    assert_eq!(adjusted.json(), json!({ "username": "root", "amount": 5, "balance": 4005 }));
    let verified = run(&database, &["verify", "--json"]);
    verified.assert_good();
    let document = verified.json();
    assert_eq!(keys(&document), ["ok", "database", "claims"]);
    assert_eq!(document["ok"], true);
    assert_eq!(keys(&document["claims"][0]), ["claim", "ok", "faults", "more"]);
    assert!(document["claims"].as_array().unwrap().len() > 5, "{document}");
    let indexed = run(&database, &["reindex", "--json"]);
    indexed.assert_good();
    assert_eq!(keys(&indexed.json()), ["rows", "seconds"]);
}

#[test]
fn backup_and_restore_write_where_the_files_are() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let file = directory.path().join("backup.db");
    let file = file.to_str().unwrap();
    run(&database, &["migrate"]).assert_good();
    let backup = run(&database, &["backup", file, "--json"]);
    backup.assert_good();
    let document = backup.json();
    assert_eq!(keys(&document), ["backup", "bytes", "verified", "seconds"]);
    assert_eq!(document["backup"], file);
    assert_eq!(document["bytes"].as_u64(), Some(std::fs::metadata(file).unwrap().len()));
    assert_eq!(document["verified"], true);
    let restored = run(&database, &["restore", file, "--json"]);
    restored.assert_good();
    let document = restored.json();
    assert_eq!(keys(&document), ["database", "backup", "verified", "old_database"]);
    let kept = document["old_database"].as_str().unwrap();
    assert!(kept.contains("before-restore") && std::path::Path::new(kept).exists(), "{document}");
    let deleted = run(&database, &["restore", file, "--json", "--delete-old", "--no-verify"]).json();
    assert_eq!((&deleted["old_database"], &deleted["verified"]), (&Value::Null, &json!(false)));
}

#[rstest]
fn a_failure_is_a_document_too(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let mut failures = vec![
        (vec!["adjust", "nobody", "1", "--note", "a gift", "--json"], "there is no user \"nobody\""),
        (vec!["changepassword", "--username", "nobody", "--json"], "there is no user \"nobody\""),
        (vec!["createsuperuser", "--username", "two words", "--json"], "username: "),
        (vec!["import-django", "--from", "missing.sqlite3", "--json"], "missing.sqlite3"),
    ];
    match on {
        On::Sqlite => failures.extend([
            (vec!["migrate", "--down", "--json"], "already serves"),
            (vec!["restore", "missing.db", "--json"], "stop it first"),
            (vec!["backup", "/no/such/folder/b.db", "--json"], "/no/such/folder"),
        ]),
        On::Postgres => failures.extend([
            (vec!["backup", "b.db", "--json"], "pg_dump"),
            (vec!["restore", "b.db", "--json"], "pg_restore"),
        ]),
    }
    for (words, why) in failures {
        let said = run(&database, &words);
        said.assert_refused(1, why);
        let document = said.json();
        assert_eq!(keys(&document), ["error"], "{said:?}");
        assert!(document["error"].as_str().unwrap().contains(why), "{said:?}");
    }
    drop(server);
}
