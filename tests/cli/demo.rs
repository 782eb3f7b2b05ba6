//! `tollgate demo`: the sample data, the secrets that it prints, and that nothing is left of it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::{Connection, SqliteConnection};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::sql::lines;
use super::{run, tollgate_in};
use crate::support::demo::{DemoServer, PATIENCE, address};
use crate::support::html::{forms, text};
use crate::support::http::{Answer, Client};
use crate::support::panel::encoded;
use crate::support::server::{assert_verified, tollgate};
use crate::support::{On, TestDatabase, require, temporary, wait};

/// A person sees the panel within this time. The binary of the tests is not optimised.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// A browser that keeps its cookies.
struct Browser {
    client: Client,
    cookies: Vec<String>,
}

impl Browser {
    /// Signs in to the panel.
    fn signed_in(panel: &str, name: &str, password: &str) -> Browser {
        let client = Client::new(address(panel));
        let mut browser = Browser { client, cookies: Vec::new() };
        let page = browser.send("GET", "/admin/sign-in/", b"");
        let form = forms(&page.text()).into_iter().find(|form| form.field("csrf").is_some()).unwrap();
        let form = form.with(&[("username", name), ("password", password)]);
        let answer = browser.send("POST", "/admin/sign-in/", encoded(&form.fields).as_bytes());
        assert_eq!(answer.status, 303, "{}", text(&answer.text()));
        browser
    }

    fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let (cookie, origin) = (self.cookies.join("; "), format!("http://{}", self.client.address()));
        let headers = [
            ("Cookie", cookie.as_str()),
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = self.client.send(method, path, &headers, body).unwrap();
        let set = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        for pair in set.map(|(_, value)| value.split(';').next().unwrap().to_owned()) {
            let name = pair.split('=').next().unwrap().to_owned();
            self.cookies.retain(|cookie| cookie.split('=').next() != Some(name.as_str()));
            self.cookies.push(pair);
        }
        answer
    }

    /// Opens a page until it has as many links to objects below `objects` as it should have: the
    /// follower needs a moment.
    fn sees(&mut self, path: &str, objects: &str, least: usize) {
        wait::until(path, PATIENCE, || {
            let page = self.send("GET", path, b"");
            assert_eq!(page.status, 200, "{path}: {}", text(&page.text()));
            (links(&page.text(), objects) >= least).then_some(())
        });
    }

    /// Opens a page until it shows a text.
    fn reads(&mut self, path: &str, words: &str) {
        wait::until(words, PATIENCE, || {
            text(&self.send("GET", path, b"").text()).contains(words).then_some(())
        });
    }
}

/// Returns the number of links to objects whose paths begin with `objects` and their ids.
fn links(html: &str, objects: &str) -> usize {
    let start = format!("href=\"{objects}");
    let links = html.split(&start).skip(1);
    links.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).count()
}

fn tokens(panel: &str, auth_token: &str) -> i64 {
    let answer = Client::new(address(panel)).get("/balance/", auth_token).unwrap();
    answer.json()["tokens"].as_i64().unwrap()
}

#[test]
fn a_demo_shows_a_panel_full_of_data_to_its_superuser() {
    let started = Instant::now();
    let mut demo = DemoServer::spawn(&["--json"]);
    let document = demo.document();
    let (panel, password) = (document["panel"].as_str().unwrap(), document["password"].as_str().unwrap());
    let mut browser = Browser::signed_in(panel, document["username"].as_str().unwrap(), password);
    let home = text(&browser.send("GET", "/admin/", b"").text());
    let took = started.elapsed();
    assert!(home.contains("Recent actions"), "{home}");
    assert!(home.contains(" in 7 days") && !home.contains(" 0 in 7 days"), "the index is behind: {home}");
    assert!(took < require::patience(SEEN_WITHIN), "the panel was seen after {took:?}");
    for (path, objects, least) in [
        ("/admin/users/", "/admin/users/", 20),
        ("/admin/users/?q=lovelace", "/admin/users/", 1),
        // анна
        ("/admin/users/?q=%D0%B0%D0%BD%D0%BD%D0%B0", "/admin/users/", 1),
        ("/admin/users/?active=no", "/admin/users/", 3),
        ("/admin/users/?balance=zero", "/admin/users/", 3),
        ("/admin/chats/?q=photosynthesis", "/admin/chats/", 5),
        ("/admin/chats/?state=failed", "/admin/chats/", 20),
        ("/admin/chats/?state=cancelled", "/admin/chats/", 5),
        ("/admin/chats/?model=qwen2.5-32b", "/admin/chats/", 5),
        ("/admin/holds/", "/admin/chats/", 3),
        ("/admin/ledger/?kind=refund", "/admin/chats/", 20),
        ("/admin/ledger/?kind=settlement", "/admin/chats/", 20),
        ("/admin/ledger/?kind=adjustment", "/admin/users/", 20),
        ("/admin/auth-tokens/", "/admin/auth-tokens/", 20),
        ("/admin/bulk-operations/", "/admin/bulk-operations/", 3),
        ("/admin/models/", "/admin/models/", 2),
        ("/admin/history/", "/admin/users/", 20),
    ] {
        browser.sees(path, objects, least);
    }
    for words in [
        "Ran out of tokens in the past 24 hours",
        "failed in bulk operation",
        "The ledger has not been verified yet",
        "the model did not begin to answer in time",
    ] {
        browser.reads("/admin/", words);
    }
    demo.stop(Signal::TERM);
}

#[test]
fn the_printed_line_is_paid_and_answered_and_the_books_are_right() {
    let mut demo = DemoServer::spawn(&["--json"]);
    let document = demo.document();
    let (panel, token) = (document["panel"].as_str().unwrap(), document["auth_token"].as_str().unwrap());
    let before = tokens(panel, token);
    match require::program("curl") {
        Some(_) => {
            let line = document["curl"].as_str().unwrap();
            let output = Command::new("sh").args(["-c", line]).output().unwrap();
            let answer: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
            assert_eq!(answer, json!({"message": "Hello", "response": "Response to Hello"}));
            assert_eq!(tokens(panel, token), before - 100);
        }
        None => require::missing("curl", "apt-get install curl"),
    }
    let database = document["database"].as_str().unwrap();
    let verified = tollgate(&["verify", "--database-url", database]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    demo.stop(Signal::INT);
}

#[test]
fn a_person_reads_the_same_on_the_terminal() {
    let mut demo = DemoServer::spawn(&["--log", "warn"]);
    let said = wait::until("the demo's text", PATIENCE, || {
        let said = demo.out();
        said.contains("Ctrl-C").then_some(said)
    });
    let word_after = |mark: &str| {
        let (_, rest) = said.split_once(mark).unwrap_or_else(|| panic!("{mark:?} is not in {said}"));
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let panel = format!("http://{}", word_after("    http://"));
    assert!(panel.ends_with("/admin/"), "{said}");
    Browser::signed_in(&panel, &word_after("    name "), &word_after("    password "));
    assert!(said.contains(&format!("curl -s {}chat/ -H", panel.trim_end_matches("admin/"))), "{said}");
    let log = demo.log();
    assert!(!log.contains(&word_after("    password ")), "{log}");
    demo.stop(Signal::TERM);
}

/// Backups and secrets of a demo have no business with the operator's server.
#[test]
fn a_demo_leaves_the_operators_folders_and_address_alone() {
    let directory = temporary::directory();
    let folder = directory.path().to_str().unwrap();
    let mut demo =
        DemoServer::spawn(&["--json", "--backup-dir", folder, "--public-url", "https://chat.example"]);
    let document = demo.document();
    assert!(document["panel"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{document}");
    assert!(!document.to_string().contains("chat.example"), "{document}");
    demo.stop(Signal::TERM);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[rstest]
fn nothing_is_left_of_a_demo_that_was_stopped(
    #[values(Signal::TERM, Signal::INT, Signal::HUP)] signal: Signal,
    #[values(true, false)] is_serving: bool,
) {
    let mut demo = DemoServer::spawn(&["--json"]);
    match is_serving {
        true => {
            let database = demo.document()["database"].as_str().unwrap().to_owned();
            assert!(demo.left().iter().any(|folder| Path::new(&database).starts_with(folder)), "{database}");
        }
        // It is still being filled.
        false => wait::until("the folder", PATIENCE, || (!demo.left().is_empty()).then_some(())),
    }
    demo.stop(signal);
    assert_eq!(demo.left(), [""; 0].map(PathBuf::from));
}

#[test]
fn an_existing_database_is_refused_and_stays_as_it_is() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    run(&database, &["migrate"]).assert_good();
    let before = fs::read(database.url()).unwrap();
    let (directory, flag) = (temporary::directory(), ["demo", "--database-url", database.url()]);
    tollgate_in(directory.path(), &flag, &[]).assert_refused(1, "exists (--database-url (flag))");
    let variable = [("DATABASE_URL", database.url())];
    tollgate_in(directory.path(), &["demo"], &variable).assert_refused(1, "variable DATABASE_URL");
    let said = tollgate_in(directory.path(), &["demo", "--json"], &variable);
    assert!(said.json()["error"].as_str().unwrap().contains("exists"), "{said:?}");
    assert_eq!(fs::read(database.url()).unwrap(), before);
    // It is not even asked.
    let postgres = ["demo", "--database-url", "postgres://u:zq7@127.0.0.1:1/d"];
    let said = tollgate_in(directory.path(), &postgres, &[]);
    said.assert_refused(1, "names PostgreSQL");
    assert!(!format!("{said:?}").contains("zq7"), "{said:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_new_file_is_filled_served_and_kept() {
    let directory = temporary::directory();
    let database = TestDatabase::sqlite_in(directory.path());
    let mut demo = DemoServer::spawn(&["--json", "--database-url", database.url()]);
    let document = demo.document();
    assert_eq!((&document["database"], &document["is_kept"]), (&json!(database.url()), &json!(true)));
    assert_eq!(demo.left().len(), 0, "there is no scratch folder");
    demo.stop(Signal::TERM);
    assert_verified(&database);
    let again = ["demo", "--database-url", database.url()];
    tollgate_in(directory.path(), &again, &[]).assert_refused(1, "exists");
}

#[test]
fn a_demo_that_is_stopped_while_it_fills_a_file_deletes_it() {
    let directory = temporary::directory();
    let database = TestDatabase::sqlite_in(directory.path());
    let mut demo = DemoServer::spawn(&["--json", "--database-url", database.url()]);
    wait::until("the file", PATIENCE, || Path::new(database.url()).exists().then_some(()));
    demo.signal(Signal::TERM);
    assert_eq!(demo.wait().code(), Some(0));
    // On a very fast machine it was served already, and then it is kept.
    if demo.out().is_empty() {
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_taken_port_leads_to_one_that_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = temporary::directory();
    let folder = directory.path().to_str().unwrap();
    let said = tollgate_in(directory.path(), &["demo", "--bind", &address], &[("TMPDIR", folder)]);
    said.assert_refused(1, "another program listens there");
    said.assert_refused(1, "this one is free: tollgate demo --bind 127.0.0.1:");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");
}

/// Everything that does not depend on the moment or on chance, in the order of the books.
const BOOKS: [&str; 4] = [
    "SELECT username || ' ' || tokens || ' ' || is_active AS line FROM users ORDER BY id",
    "SELECT user_id || ' ' || kind || ' ' || amount || ' ' || balance_after || ' ' || note AS line
     FROM ledger_entries ORDER BY id",
    "SELECT user_id || ' ' || state || ' ' || model || ' ' || coalesce(failure, '') || ' ' || message AS line
     FROM chats ORDER BY id",
    "SELECT coalesce(actor_id, 0) || ' ' || action || ' ' || note AS line FROM audit_log ORDER BY id",
];

/// Returns the books of a demo with these flags.
fn books(flags: &[&str]) -> Vec<Vec<String>> {
    let directory = temporary::directory();
    let database = TestDatabase::sqlite_in(directory.path());
    let mut demo = DemoServer::spawn(&[flags, &["--json", "--database-url", database.url()]].concat());
    demo.document();
    demo.stop(Signal::TERM);
    assert_verified(&database);
    let mut conn = SqliteConnection::establish(database.url()).unwrap();
    BOOKS.iter().map(|query| lines(&mut conn, query)).collect()
}

#[test]
fn the_same_seed_makes_the_same_books() {
    let first = books(&[]);
    assert!(first.iter().all(|rows| rows.len() > 90) && first[1].len() > 1_500, "{}", first[1].len());
    assert_eq!(first, books(&["--seed", "16"]));
    assert_ne!(first, books(&["--seed", "17"]));
}

/// Whatever the settings are, the books are right.
#[rstest]
#[case::free(&["--chat-price", "0"])]
#[case::without_tokens(&["--opening-tokens", "0"])]
#[case::dear(&["--chat-price", "1000000000000"])]
#[case::without_holds(&["--concurrent-chats", "0"])]
#[case::slow(&["--dummy-delay", "20", "--dummy-failures", "50"])]
#[case::upstream(&["--responder", "openai", "--upstream-url", "http://127.0.0.1:1/v1", "--upstream-models", "a,b,c"])]
fn settings_change_the_sample_data_and_never_break_it(#[case] flags: &[&str]) {
    let books = books(flags);
    assert!(books[0].len() > 90 && books[1].len() > 90, "{} entries", books[1].len());
}
