//! What an upgrade keeps: every row, and everything that users could do with it before.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use tollgate::administration::{BulkKind, RowFailure};
use tollgate::audit::{Action, ObjectKind};
use tollgate::domain::FailureReason;
use tollgate::models::Change;

use super::dump::{Dump, TEXTS};
use crate::cli::run_with;
use crate::support::On;
use crate::support::http::Answer;
use crate::support::server::{Server, assert_verified};
use crate::support::wait;

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[rstest]
fn an_upgrade_keeps_every_row_and_verify_finds_nothing_wrong(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(dump) = Dump::restore(on) else { return };
    let before = dump.everything();
    assert_as_it_was_recorded(&dump);
    let old = dump.migrations().len();
    let status = run_with(&dump.database, &["migrate", "--status"], "");
    status.assert_good();
    let applied = status.out.lines().filter(|line| line.starts_with("[x] ")).count();
    assert_eq!(applied, old, "{status:?}");
    let missing = status.out.lines().count() - old;
    let verified = run_with(&dump.database, &["verify"], "");
    if missing > 0 {
        verified.assert_refused(1, &format!("lacks {missing} migrations: run `tollgate migrate`"));
        assert_eq!(dump.everything(), before, "the status must not change anything");
    }
    let migrated = run_with(&dump.database, &["migrate"], "");
    migrated.assert_good();
    assert_eq!(dump.migrations().len(), old + missing);
    let status = run_with(&dump.database, &["migrate", "--status"], "");
    assert!(status.out.lines().all(|line| line.starts_with("[x] ")), "{status:?}");
    before.assert_kept(&dump);
    assert_as_it_was_recorded(&dump);
    assert_verified(&dump.database);
    let again = run_with(&dump.database, &["migrate"], "");
    assert_eq!(again.out, "the database is up to date\n");
}

/// Checks balances, rights, limits and histories against the data that the old version returned
/// when the dump was made.
fn assert_as_it_was_recorded(dump: &Dump) {
    for user in dump.expected["users"].as_array().unwrap() {
        let id = number(&user["id"]);
        let of = |column: &str| {
            dump.number(&format!("SELECT coalesce(CAST({column} AS INTEGER), -1) FROM users WHERE id = {id}"))
        };
        for (column, name) in [
            ("tokens", "tokens"),
            ("is_active", "active"),
            ("is_staff", "staff"),
            ("is_superuser", "superuser"),
            ("concurrent_chats", "chats_at_once"),
            ("requests_per_minute", "requests_a_minute"),
        ] {
            assert_eq!(of(column), number(&user[name]), "{column} of {user}");
        }
        for (table, name) in [("ledger_entries", "entries"), ("chats", "chats")] {
            let count = dump.number(&format!("SELECT count(*) FROM {table} WHERE user_id = {id}"));
            assert_eq!(count, number(&user[name]), "{table} of {user}");
        }
    }
    for table in dump.tables() {
        let rows = dump.number(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(rows, number(&dump.expected["rows"][&table]), "{table}");
        assert!(rows > 0, "the dump has no row of {table}");
    }
    for (what, column, table, all) in [
        ("states", "state", "chats", &["pending", "complete", "failed", "cancelled"][..]),
        ("kinds", "kind", "ledger_entries", &["opening", "charge", "settlement", "refund", "adjustment"]),
    ] {
        for value in all {
            let count = dump.number(&format!("SELECT count(*) FROM {table} WHERE {column} = '{value}'"));
            assert!(count > 0, "the dump has no {value} in {table}");
            assert_eq!(count, number(&dump.expected[what][*value]), "{value}");
        }
    }
}

/// Returns the codes that may stand in a column.
fn codes(table: &str, column: &str) -> Vec<&'static str> {
    match (table, column) {
        ("chats", "failure") => FailureReason::ALL.map(FailureReason::code).to_vec(),
        ("audit_log", "action") => Action::ALL.map(Action::code).to_vec(),
        ("audit_log", "object_kind") => ObjectKind::ALL.map(ObjectKind::code).to_vec(),
        ("bulk_operations", "kind") => {
            [BulkKind::Adjust(1), BulkKind::Revoke, BulkKind::Anonymise].map(BulkKind::code).to_vec()
        }
        ("bulk_failures", "reason") => RowFailure::ALL.map(RowFailure::code).to_vec(),
        _ => panic!("{table}.{column} has no codes"),
    }
}

#[rstest]
fn an_upgrade_turns_stored_texts_into_codes_and_a_downgrade_turns_them_back(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(dump) = Dump::restore(on) else { return };
    let (before, old) = (dump.everything(), dump.migrations().len());
    let values = |table: &str, column: &str| {
        dump.lines(&format!(
            "SELECT DISTINCT {column} AS line FROM {table} WHERE {column} IS NOT NULL ORDER BY 1"
        ))
    };
    let texts = TEXTS.map(|(table, column)| values(table, column));
    run_with(&dump.database, &["migrate"], "").assert_good();
    for ((table, column), texts) in TEXTS.into_iter().zip(texts) {
        let stored = values(table, column);
        assert_eq!(stored.len(), texts.len(), "{table}.{column}: {texts:?} became {stored:?}");
        assert!(!stored.is_empty(), "the dump has no {table}.{column}");
        if column == "changes" {
            let changes = stored.iter().flat_map(|row| serde_json::from_str::<Vec<Change>>(row).unwrap());
            let odd: Vec<String> =
                changes.map(|change| change.field).filter(|field| !is_code(field)).collect();
            assert!(odd.is_empty(), "{odd:?}");
            assert!(stored.iter().all(|row| !row.contains("as the settings say")), "{stored:?}");
        } else {
            let known = codes(table, column);
            let odd: Vec<&String> = stored.iter().filter(|code| !known.contains(&code.as_str())).collect();
            assert!(odd.is_empty(), "{table}.{column} has {odd:?}");
        }
    }
    while dump.migrations().len() > old {
        run_with(&dump.database, &["migrate", "--down"], "").assert_good();
    }
    assert_eq!(dump.everything(), before);
}

fn is_code(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// A server on the upgraded database, for its users.
struct Upgraded {
    dump: Dump,
    server: Server,
}

impl Upgraded {
    fn log_in(&self, name: &str, password: &str) -> Answer {
        let body = json!({ "username": name, "password": password });
        self.server.client().post("/login/", None, &body).unwrap()
    }

    /// Opens a page of the panel with the session of a user from before the upgrade.
    fn panel(&self, name: &str, path: &str) -> Answer {
        let secret = self.dump.expected["sessions"][name].as_str().unwrap();
        // The sessions are still stored, but the cookie has another name now.
        let sign_in = self.server.client().send("GET", "/admin/sign-in/", &[], b"").unwrap();
        let guest = sign_in.header("set-cookie").unwrap().split('=').next().unwrap().to_owned();
        let cookie = format!("{}={secret}", guest.replace("guest", "session"));
        self.server.client().send("GET", path, &[("Cookie", &cookie)], b"").unwrap()
    }

    fn user(&self, name: &str) -> &Value {
        let mut users = self.dump.expected["users"].as_array().unwrap().iter();
        users.find(|user| user["username"] == name).unwrap_or_else(|| panic!("no user {name}"))
    }

    /// Returns the expected balance. Two users get 7 more from the bulk operation during which the
    /// old server died.
    fn balance(&self, name: &str) -> i64 {
        number(&self.user(name)["tokens"]) + if ["ada", "bob"].contains(&name) { 7 } else { 0 }
    }
}

#[rstest]
fn after_an_upgrade_everybody_continues_where_they_were(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(dump) = Dump::restore(on) else { return };
    let server = Server::start(&dump.database, &[]);
    let upgraded = Upgraded { dump, server };
    wait::until("the unfinished bulk operation", Duration::from_secs(30), || {
        let left = upgraded.dump.number("SELECT count(*) FROM bulk_operations WHERE finished_at IS NULL");
        (left == 0).then_some(())
    });
    assert_tokens_and_passwords(&upgraded);
    assert_sessions_and_settings(&upgraded);
    assert_keys_and_histories(&upgraded);
    assert_search_continues(&upgraded);
    let mut server = upgraded.server;
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    assert_verified(&upgraded.dump.database);
}

fn assert_tokens_and_passwords(upgraded: &Upgraded) {
    for (name, token) in pairs(&upgraded.dump.expected["tokens"]) {
        let answer = upgraded.server.client().get("/balance/", &token).unwrap();
        if name.starts_with("dead: ") {
            assert_eq!(answer.status, 401, "{name}: {answer:?}");
        } else {
            let owner = name.split('\'').next().unwrap();
            assert_eq!(answer.json(), json!({ "tokens": upgraded.balance(owner) }), "{name}");
        }
    }
    for (name, password) in pairs(&upgraded.dump.expected["passwords"]) {
        assert_eq!(upgraded.log_in(&name, &password).status, 200, "{name}");
        assert_eq!(upgraded.log_in(&name, "a wrong pass phrase 8").status, 400, "{name}");
    }
    let password = upgraded.dump.expected["passwords"]["ada"].as_str().unwrap();
    for name in upgraded.dump.expected["no_log_in"].as_array().unwrap() {
        assert_eq!(upgraded.log_in(name.as_str().unwrap(), password).status, 400, "{name}");
    }
}

fn assert_sessions_and_settings(upgraded: &Upgraded) {
    for name in ["root", "Grace.Hopper"] {
        assert_eq!(upgraded.panel(name, "/admin/").status, 200, "the session of {name} has ended");
    }
    assert_eq!(upgraded.panel("Grace.Hopper", "/admin/users/add/").status, 403);
    let settings = upgraded.panel("root", "/admin/settings/").text();
    for chosen in
        ["<option value=\"Europe/Berlin\" selected>", "<option value=\"25\" selected>", "data-theme=\"dark\""]
    {
        assert!(settings.contains(chosen), "{chosen} is not in {settings}");
    }
    let history = upgraded.panel("root", "/admin/history/").text();
    for text in ["a prize", "it was no use", "deactivated", "anonymised", "adjusted the balance"] {
        assert!(history.contains(text), "{text} is not in {history}");
    }
    // The code, and the text that addresses of the old version have.
    for action in ["adjust", "adjusted+the+balance"] {
        let adjusted = upgraded.panel("root", &format!("/admin/history/?action={action}")).text();
        assert!(adjusted.contains("a prize") && !adjusted.contains("deactivated:"), "{adjusted}");
    }
    let anonymised = format!("/admin/users/{}/", upgraded.dump.expected["users"][4]["id"]);
    assert!(!upgraded.panel("root", &anonymised).text().contains("wanda"));
}

fn assert_keys_and_histories(upgraded: &Upgraded) {
    let token = upgraded.dump.expected["tokens"]["ada"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "key-1")];
    let replay = |message: &str| {
        let body = json!({ "message": message }).to_string();
        upgraded.server.client().send("POST", "/chat/", &headers, body.as_bytes()).unwrap()
    };
    let answer = replay("with a key");
    assert_eq!((answer.status, answer.header("Idempotency-Replayed")), (201, Some("true")), "{answer:?}");
    assert_eq!(replay("another message").status, 422);
    let chats = upgraded.server.history(token);
    assert_eq!(chats.len() as i64, number(&upgraded.user("ada")["chats"]));
    assert!(chats.iter().any(|chat| chat.message == "message 7 of ada: Grüße, 東京 & <b>x</b>"));
    let conversations = upgraded.server.client().get("/conversations/", token).unwrap().json();
    let titles: Vec<&str> = conversations["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["title"].as_str())
        .collect();
    assert_eq!(titles, ["", "Trains"], "a deleted conversation must stay deleted");
    assert_eq!(upgraded.server.tokens(token), upgraded.balance("ada"), "a replay must cost nothing");
}

fn assert_search_continues(upgraded: &Upgraded) {
    let token = upgraded.dump.expected["tokens"]["ada"].as_str().unwrap();
    assert_eq!(upgraded.server.chat(token, "an unmistakable word: quokka").status, 201);
    assert_eq!(upgraded.server.tokens(token), upgraded.balance("ada") - 100);
    let found = |word: &str| upgraded.panel("root", &format!("/admin/chats/?q={word}")).text();
    wait::until("the follower to continue", Duration::from_secs(30), || {
        found("quokka").contains("unmistakable").then_some(())
    });
    assert!(
        found("%E6%9D%B1%E4%BA%AC+7+ada").contains("message 7 of ada"),
        "chats from before the upgrade must be found"
    );
    wait::until("the balances to be followed", Duration::from_secs(30), || {
        upgraded.dump.lines(
            "SELECT username AS line FROM users JOIN user_balances ON user_id = users.id WHERE balance <> tokens",
        )
        .is_empty()
        .then_some(())
    });
}
