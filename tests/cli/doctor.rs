//! `tollgate doctor`: each check finds what it is for, and nothing is changed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::{Said, run, tollgate_in};
use crate::support::certificates::Certificates;
use crate::support::postgres::Cluster;
use crate::support::server::Launch;
use crate::support::upstream::{ScriptedUpstream, status};
use crate::support::{On, TestDatabase, temporary};

/// Returns the state of a check, with what was found and what to do. Of several checks of this
/// name, it returns the worst.
fn check(said: &Said, name: &str) -> (String, String) {
    let document = said.json();
    let checks = document["checks"].as_array().unwrap();
    let rank = |check: &&Value| {
        ["skipped", "ok", "warning", "failure"].iter().position(|state| check["state"] == *state)
    };
    let worst = checks.iter().filter(|check| check["name"] == name).max_by_key(rank);
    let worst = worst.unwrap_or_else(|| panic!("no check {name} in {said:?}"));
    let text = |key: &str| worst[key].as_str().unwrap_or_default().to_owned();
    (text("state"), format!("{} -> {}", text("found"), text("advice")))
}

#[track_caller]
fn assert_check(said: &Said, name: &str, state: &str, words: &str) {
    let (found, text) = check(said, name);
    assert_eq!(found, state, "{name}: {text}");
    assert!(text.contains(words), "{words:?} is not in {name}: {text}");
}

fn doctor(directory: &Path, words: &[&str], variables: &[(&str, &str)]) -> Said {
    tollgate_in(directory, &[&["doctor", "--json"], words].concat(), variables)
}

/// Returns the names, sizes and modes of all files of a directory.
fn files(directory: &Path) -> Vec<(String, u64, u32)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, metadata.len(), metadata.permissions().mode())
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

#[test]
fn without_any_settings_nothing_fails_and_nothing_is_changed() {
    let directory = temporary::directory();
    let said = doctor(directory.path(), &[], &[]);
    said.assert_good();
    assert_eq!(said.json()["ok"], true);
    for name in ["settings", "open files", "file modes", "database", "proxies", "clock"] {
        assert_eq!(check(&said, name).0, "ok", "{name}: {said:?}");
    }
    // Temporary files may be in memory.
    assert!(["ok", "warning"].contains(&check(&said, "disk").0.as_str()), "{said:?}");
    assert!(check(&said, "disk").1.contains("a sync takes "), "{said:?}");
    assert_check(&said, "public URL", "skipped", "only this machine");
    assert_check(&said, "upstream", "skipped", "the dummy");
    assert_eq!(files(directory.path()), []);

    // For people: a line for each check, with what to do below it.
    let text = tollgate_in(directory.path(), &["doctor", "--bcrypt-cost", "5"], &[]);
    text.assert_good();
    let warning = "WARNING  settings      --bcrypt-cost is 5\n                       -> it is for tests";
    assert!(text.out.contains(warning), "{}", text.out);
    assert!(text.out.lines().last().unwrap().contains(" 0 failures, "), "{}", text.out);
}

#[test]
fn a_database_is_looked_at_and_not_touched() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let folder = Path::new(database.url()).parent().unwrap();
    run(&database, &["migrate"]).assert_good();
    let mode = |mode: u32| {
        std::fs::set_permissions(database.url(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let before = files(folder);
    let said = run(&database, &["doctor", "--json"]);
    assert_check(&said, "database", "ok", "no server has open");
    assert_check(&said, "durability", "ok", "synchronous=FULL");
    assert_check(&said, "file modes", "warning", &format!("chmod 600 {}", database.url()));
    assert_eq!(files(folder), before);
    mode(0o600);
    let server = Launch::on(&database).start();
    let said = run(&database, &["doctor", "--json"]);
    assert_check(&said, "database", "ok", "which a server has open");
    assert_check(&said, "file modes", "ok", "");
    drop(server);
    let space = run(&database, &["doctor", "--json", "--min-free-disk", "1000000000000"]);
    assert_check(&space, "free space", "warning", "make room");
    let moved = folder.join("moved.db");
    std::fs::rename(database.url(), moved).unwrap();
    let said = run(&database, &["doctor", "--json"]);
    said.assert_refused(1, "");
    assert_check(&said, "database", "failure", "");
    let missing = ["doctor", "--json", "--database-url", "/no/such/folder/t.db"];
    let said = tollgate_in(folder, &missing, &[]);
    assert_check(&said, "disk", "failure", "create the folder");
}

#[test]
fn postgresql_without_syncs_is_a_failure_and_with_them_it_is_not() {
    // The shared cluster of the tests syncs nothing.
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let said = run(&database, &["doctor", "--json"]);
    said.assert_refused(1, "");
    assert_check(&said, "durability", "failure", "set fsync = on");
    assert_check(&said, "database", "ok", "the next start applies");
    assert_check(&said, "clock", "ok", "that of the database");
    assert_check(&said, "disk", "ok", "a commit takes ");
    let tables = run(&database, &["migrate", "--status"]);
    assert!(!tables.out.contains("[x]"), "doctor changed the database: {tables:?}");
    let Some(cluster) = Cluster::start(&["synchronous_commit=off", "full_page_writes=off"]) else { return };
    let lax = TestDatabase::from(cluster.database());
    let said = run(&lax, &["doctor", "--json"]);
    assert_check(&said, "durability", "warning", "set full_page_writes = on");
    drop(lax);
    let unreachable = ["doctor", "--json", "--database-url", "postgres://u:zq7@127.0.0.1:1/d"];
    let said = tollgate_in(temporary::directory().path(), &unreachable, &[]);
    said.assert_refused(1, "");
    assert_check(&said, "database", "failure", "refused");
    assert!(!format!("{said:?}").contains("zq7"), "{said:?}");
}

#[test]
fn the_upstream_is_asked_and_its_answer_is_judged() {
    let directory = temporary::directory();
    let upstream = ScriptedUpstream::start();
    let url = upstream.url();
    let flags = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "m"];
    let key = [("TOLLGATE_UPSTREAM_KEY", "sk-zq7")];
    let said = doctor(directory.path(), &flags, &[]);
    said.assert_good();
    assert_check(&said, "upstream", "ok", "it answers in ");
    // This upstream gives its list to everybody.
    assert_check(&doctor(directory.path(), &flags, &key), "upstream", "ok", "not proven to be valid");
    let others = [&flags[..5], &["m,other"]].concat();
    assert_check(&doctor(directory.path(), &others, &[]), "upstream", "warning", "does not have other");
    upstream.models(status(401, &[], "bad key"));
    let said = doctor(directory.path(), &flags, &key);
    said.assert_refused(1, "");
    assert_check(&said, "upstream", "failure", "it rejects the key");
    assert!(!format!("{said:?}").contains("zq7"), "{said:?}");
    upstream.models(status(503, &[], "down"));
    assert_check(&doctor(directory.path(), &flags, &[]), "upstream", "failure", "status 503");
    // A clock that is years off.
    upstream.models(status(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], r#"{"data":[{"id":"m"}]}"#));
    assert_check(&doctor(directory.path(), &flags, &[]), "clock", "warning", "that of the upstream");
    let closed = [&flags[..3], &["http://127.0.0.1:1/v1"], &flags[4..]].concat();
    assert_check(&doctor(directory.path(), &closed, &[]), "upstream", "failure", "cannot be reached");
    let incomplete = doctor(directory.path(), &flags[..2], &[]);
    incomplete.assert_refused(1, "");
    assert_check(&incomplete, "settings", "failure", "--upstream-url");
}

/// A proxy that adds `X-Forwarded-For`, for one request after the other. It ends with its test's
/// process.
fn proxy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let _ = pass_on(client, server);
        }
    });
    address
}

fn pass_on(mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let count = client.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&bytes[..count]);
    }
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"X-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\r\n");
    let mut server = TcpStream::connect(server)?;
    server.write_all(&head)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)
}

#[test]
fn the_way_over_the_public_url_shows_a_forgotten_proxy() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let trusted = ["--trusted-proxies", "127.0.0.1"];
    for (flags, state, words) in
        [(&[][..], "warning", "is not in --trusted-proxies"), (&trusted[..], "ok", "is trusted")]
    {
        let server = Launch::on(&database).flags(flags).start();
        let (proxy, bind) = (format!("http://{}", proxy(server.address())), server.address().to_string());
        let settings = [&["doctor", "--json", "--public-url", &proxy, "--bind", &bind], flags].concat();
        let said = run(&database, &settings);
        assert_check(&said, "public URL", "ok", "leads to Tollgate");
        assert_check(&said, "proxies", state, words);
        let warning = "127.0.0.1 sends X-Forwarded-For, which is ignored";
        assert_eq!(server.log().contains(warning), flags.is_empty(), "{}", server.log());
        // Without the proxy, no header arrives.
        let direct = format!("http://{bind}");
        let settings = [&["doctor", "--json", "--public-url", &direct, "--bind", &bind], flags].concat();
        let state = if flags.is_empty() { "ok" } else { "warning" };
        assert_check(&run(&database, &settings), "proxies", state, "");
    }
}

#[test]
fn a_public_url_that_leads_elsewhere_is_found() {
    let directory = temporary::directory();
    let upstream = ScriptedUpstream::start();
    let elsewhere = upstream.url().replace("/v1", "");
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = port.local_addr().unwrap().to_string();
    let said = doctor(directory.path(), &["--public-url", &elsewhere, "--bind", &bind], &[]);
    assert_check(&said, "public URL", "failure", "");
    let closed = ["--public-url", "http://127.0.0.1:1", "--bind", &bind];
    assert_check(&doctor(directory.path(), &closed, &[]), "public URL", "failure", "cannot be reached");
    drop(port);
    assert_check(&doctor(directory.path(), &closed, &[]), "public URL", "skipped", "no server listens");
    let open = doctor(directory.path(), &["--bind", "0.0.0.0:8000"], &[]);
    assert_check(&open, "public URL", "warning", "--public-url is not set");
    let all = doctor(directory.path(), &["--trusted-proxies", "0.0.0.0/0"], &[]);
    all.assert_refused(1, "");
    assert_check(&all, "proxies", "failure", "list only your proxies");
}

#[test]
fn the_certificate_is_judged_by_its_key_its_time_and_its_host() {
    let directory = temporary::directory();
    let certificates = Certificates::new();
    let judged = |more: &[&str]| doctor(directory.path(), &[&certificates.flags()[..], more].concat(), &[]);
    assert_check(&doctor(directory.path(), &[], &[]), "certificate", "skipped", "");
    assert_check(&judged(&[]), "certificate", "ok", "it is valid until ");
    // Nothing listens on port 1.
    assert_check(&judged(&["--public-url", "https://localhost:1"]), "certificate", "ok", "");
    let other = judged(&["--public-url", "https://127.0.0.2:1"]);
    assert_check(&other, "certificate", "warning", "it is not for 127.0.0.2");
    for (days, state, words) in [(10, "warning", "it expires on "), (-1, "failure", "it expired on ")] {
        certificates.write(&certificates.issue(days));
        assert_check(&judged(&[]), "certificate", state, words);
    }
    certificates.write_key(&certificates.issue(90).key);
    let said = judged(&[]);
    said.assert_refused(1, "");
    assert_check(&said, "certificate", "failure", "the key does not belong to");
    assert_check(&said, "file modes", "ok", "");
    std::fs::set_permissions(certificates.key_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let chmod = format!("chmod 600 {}", certificates.key_file().display());
    assert_check(&judged(&[]), "file modes", "warning", &chmod);
}

#[test]
fn the_folder_of_the_backups_must_take_them() {
    let directory = temporary::directory();
    let folder = directory.path().join("backups");
    let with = |more: &[&str]| {
        let flags = ["--backup-dir", folder.to_str().unwrap()];
        doctor(directory.path(), &[&flags, more].concat(), &[])
    };
    assert_check(&doctor(directory.path(), &[], &[]), "backups", "skipped", "--backup-dir is not set");
    let said = with(&[]);
    said.assert_refused(1, "");
    assert_check(&said, "backups", "failure", "mkdir -m 700 ");
    std::fs::create_dir(&folder).unwrap();
    // Temporary files may be in memory.
    assert!(["ok", "warning"].contains(&check(&with(&[]), "backups").0.as_str()));
    assert_eq!(files(&folder), []);
    // Now there is a database on the same disk.
    std::fs::write(directory.path().join("tollgate.db"), "").unwrap();
    for least in ["512", "1000000000000"] {
        assert_check(&with(&["--min-free-disk", least]), "backups", "warning", "");
    }
}

#[test]
fn the_address_of_the_metrics_must_be_free_or_the_servers() {
    let directory = temporary::directory();
    let bound = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, other) = (bound(), bound());
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let metrics: &str = &address(&one);
    let server: &str = &address(&other);
    for (bind, address, state, words) in [
        // Nothing listens on port 1, so no server has the address.
        ("127.0.0.1:1", metrics, "failure", "give --metrics-bind a free port"),
        (server, metrics, "ok", metrics),
        (server, server, "failure", "the address of --bind, too"),
        (server, "192.0.2.1:9464", "failure", "cannot listen on 192.0.2.1:9464"),
        (server, "0.0.0.0:0", "warning", "no password"),
    ] {
        let said = doctor(directory.path(), &["--bind", bind, "--metrics-bind", address], &[]);
        assert_check(&said, "metrics", state, words);
    }
    assert_check(&doctor(directory.path(), &[], &[]), "metrics", "skipped", "");
}

#[test]
fn wrong_settings_are_a_failed_check_and_misspelt_variables_are_named() {
    let directory = temporary::directory();
    let said = doctor(directory.path(), &[], &[("TOLLGATE_WORKERS", "0")]);
    said.assert_refused(1, "");
    assert_check(&said, "settings", "failure", "TOLLGATE_WORKERS, the variable of --workers");
    std::fs::write(directory.path().join("t.toml"), "colour = 1\n").unwrap();
    let said = doctor(directory.path(), &["--config", "t.toml"], &[]);
    said.assert_refused(1, "");
    assert_check(&said, "settings", "failure", "t.toml:1: colour is not a setting");
    let said = doctor(directory.path(), &[], &[("TOLLGATE_BNID", "127.0.0.1:1")]);
    said.assert_good();
    assert_check(&said, "settings", "warning", "TOLLGATE_BNID");
    // A wrong flag is an error of usage.
    doctor(directory.path(), &["--workers", "0"], &[]).assert_refused(2, "--workers");
}

#[test]
fn too_few_open_files_cause_a_warning() {
    let directory = temporary::directory();
    let mut command = std::process::Command::new("sh");
    let doctor = "ulimit -n 300; exec \"$0\" doctor --json";
    command.args(["-c", doctor, super::BINARY]).env_clear().current_dir(directory.path());
    let said = super::finish(&mut command, "");
    assert_check(&said, "open files", "warning", "LimitNOFILE");
}

#[test]
fn an_open_file_of_a_secret_causes_a_warning() {
    let directory = temporary::directory();
    let file = directory.path().join("key");
    std::fs::write(&file, "sk-1").unwrap();
    let check = |mode: u32| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        doctor(directory.path(), &["--upstream-key-file", "key"], &[])
    };
    assert_check(&check(0o444), "file modes", "warning", "chmod 600 key");
    assert_check(&check(0o640), "file modes", "ok", "");
}
