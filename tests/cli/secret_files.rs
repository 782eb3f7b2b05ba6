//! Secrets that come from files.

use serde_json::json;

use super::{run_with, tollgate_in};
use crate::support::server::Launch;
use crate::support::upstream::ScriptedUpstream;
use crate::support::{On, TestDatabase, temporary};

#[test]
fn the_urls_of_databases_may_come_from_files() {
    let directory = temporary::directory();
    let write = |name: &str, content: &str| std::fs::write(directory.path().join(name), content).unwrap();
    write("url", "tollgate-of-the-file.db\n");
    let by_flag = ["migrate", "--database-url-file", "url"];
    tollgate_in(directory.path(), &by_flag, &[]).assert_good();
    assert!(directory.path().join("tollgate-of-the-file.db").exists(), "the newline is not part of the URL");
    tollgate_in(directory.path(), &["verify"], &[("DATABASE_URL_FILE", "url")]).assert_good();
    write("t.toml", "database-url-file = 'url'\n");
    tollgate_in(directory.path(), &["verify", "--config", "t.toml"], &[]).assert_good();
    let said = tollgate_in(directory.path(), &["config", "--json", "--database-url-file", "url"], &[]);
    let rows = said.json();
    let row = rows["settings"].as_array().unwrap().iter().find(|row| row["name"] == "database-url").unwrap();
    assert_eq!(
        json!([row["value"], row["source"], row["from"]]),
        json!(["tollgate-of-the-file.db", "secret-file", "url"])
    );
    write("bad", "mysql://u:zq7secret@h/d");
    let said = tollgate_in(directory.path(), &["verify", "--database-url-file", "bad"], &[]);
    said.assert_refused(2, "--database-url-file: the URL in the file: its scheme is unknown");
    assert!(!said.err.contains("zq7"), "{said:?}");
    write("empty", "\n");
    let said = tollgate_in(directory.path(), &["verify", "--database-url-file", "empty"], &[]);
    said.assert_refused(2, "the file is empty: write the URL of the database into it");
}

#[test]
fn a_secret_that_is_given_twice_prevents_the_start() {
    let directory = temporary::directory();
    std::fs::write(directory.path().join("secret"), "sk-1\n").unwrap();
    std::fs::write(directory.path().join("t.toml"), "database-url = 't.db'\n").unwrap();
    let url = ("DATABASE_URL", "t.db");
    let url_file = ("DATABASE_URL_FILE", "secret");
    let key = ("TOLLGATE_UPSTREAM_KEY", "sk-1");
    let key_file = ("TOLLGATE_UPSTREAM_KEY_FILE", "secret");
    for (words, variables, names) in [
        (vec![], vec![url, url_file], ["DATABASE_URL", "--database-url-file"]),
        (vec!["--database-url-file", "secret"], vec![url], ["DATABASE_URL", "--database-url-file"]),
        (vec!["--database-url", "t.db"], vec![url_file], ["--database-url ", "--database-url-file"]),
        (vec!["--config", "t.toml"], vec![url_file], ["database-url (t.toml:1)", "--database-url-file"]),
        (vec![], vec![key, key_file], ["TOLLGATE_UPSTREAM_KEY", "--upstream-key-file"]),
        (vec!["--upstream-key-file", "secret"], vec![key], ["TOLLGATE_UPSTREAM_KEY", "--upstream-key-file"]),
    ] {
        let said = tollgate_in(directory.path(), &[&["serve"], words.as_slice()].concat(), &variables);
        said.assert_refused(2, "are both given");
        for name in names {
            said.assert_refused(2, name);
        }
        assert!(!said.err.contains("sk-1"), "{said:?}");
    }
}

#[test]
fn the_key_in_the_settings_file_reaches_the_upstream_and_never_the_log() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let (directory, upstream) = (temporary::directory(), ScriptedUpstream::start());
    let file = directory.path().join("t.toml");
    let content = format!(
        "responder = 'openai'\nupstream-url = '{}'\nupstream-models = ['m']\nupstream-key = 'sk-of-the-file'\n",
        upstream.url()
    );
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let flags = ["--config", file.to_str().unwrap(), "--log", "trace"];
    let server = Launch::on(&database).flags(&flags).start();
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "hi").status, 201);
    assert_eq!(upstream.requests()[0].header("authorization"), Some("Bearer sk-of-the-file"));
    assert!(!server.log().contains("sk-of-the-file"), "{}", server.log());
}

#[test]
fn the_url_of_a_django_database_may_come_from_a_file() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let file = directory.path().join("url");
    std::fs::write(&file, format!("{}\n", directory.path().join("missing.sqlite3").display())).unwrap();
    let from = ["import-django", "--dry-run", "--from-url-file", file.to_str().unwrap()];
    run_with(&database, &from, "").assert_refused(1, "missing.sqlite3");
    run_with(&database, &["import-django"], "").assert_refused(2, "--from");
    run_with(&database, &[&from[..], &["--from", "x.db"]].concat(), "")
        .assert_refused(2, "cannot be used with");
}
