//! Every query of a request uses an index. Diesel's instrumentation records all statements that the
//! service sends to SQLite, and SQLite explains each.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{
    Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation,
};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use futures_util::future::join_all;
use tollgate::auth::{AccountRules, Auth, AuthTokenOutcome, AuthTokenRequest, Hasher, LogIn, PasswordChange};
use tollgate::chat::ChatRequest;
use tollgate::db::{Db, DbConnection};
use tollgate::domain::OperationId;
use tollgate::logging::RequestNotes;
use tollgate::metering::{Charge, forget_idempotency_keys, sweep};
use tollgate::models::Keyset;
use tollgate::throttle::Throttle;

use crate::support::ledger::{
    adjustment, charge, charged, hold, key, open, raw, request, run_adjustment, toll,
};
use crate::support::writer::{HeldWriter, queue};
use crate::support::{On, TestDatabase};

/// The statements that were sent to each watched database, by a part of its URL.
static SENT: Mutex<Option<HashMap<String, BTreeSet<String>>>> = Mutex::new(None);

/// Every connection of this test process has a recorder. It records only the statements to a
/// watched database.
#[derive(Default)]
struct Recorder {
    database: Option<String>,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sent) = sent.as_mut() else { return };
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                self.database = sent.keys().find(|database| url.contains(*database)).cloned();
            }
            InstrumentationEvent::StartQuery { query, .. } => {
                if let Some(statements) = self.database.as_ref().and_then(|database| sent.get_mut(database)) {
                    statements.insert(query.to_string());
                }
            }
            _ => {}
        }
    }
}

pub(super) fn watch(database: &TestDatabase) {
    let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    sent.get_or_insert_default().insert(database.url().to_owned(), BTreeSet::new());
    drop(sent);
    set_default_instrumentation(|| Some(Box::new(Recorder::default()))).unwrap();
}

pub(super) fn sent_to(database: &TestDatabase) -> BTreeSet<String> {
    let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    sent.as_mut().and_then(|sent| sent.remove(database.url())).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_of_the_service_reads_a_whole_table() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    open(database.url(), 1).migrate().unwrap();
    watch(&database);
    use_everything(open(database.url(), 1)).await;
    let sent = sent_to(&database);
    for part in [
        "username_canonical` IN",
        "`auth_tokens`.`digest` = ?",
        "SELECT id FROM user_chats",
        "SELECT id FROM user_entries",
        "chats.state = 'pending'",
        "`chats`.`deadline` < ?",
        "`ledger_entries`.`operation_id` = ?",
        "`idempotency_keys`.`key` = ?",
        "`idempotency_keys`.`created_at` < ?",
        "bearer AS MATERIALIZED",
        "UPDATE users SET tokens = tokens - ? WHERE id = ?",
    ] {
        assert!(
            sent.iter().any(|statement| statement.contains(part)),
            "nothing was sent with {part}: {sent:#?}"
        );
    }
    let mut conn = raw(On::Sqlite, database.url());
    let verbs = ["SELECT", "UPDATE", "DELETE", "INSERT", "WITH"];
    // Diesel's form of an empty list, `WHERE (1=0)`, reads nothing, whatever the plan says.
    let statements = sent.iter().filter(|statement| {
        verbs.iter().any(|verb| statement.starts_with(verb)) && !statement.contains("(1=0)")
    });
    for statement in statements {
        for step in explain(&mut conn, statement) {
            // SQLite plans a search for orphaned children of a new parent, and skips it as long as
            // there are no orphans.
            let skipped = statement.starts_with("INSERT INTO `users`")
                && ["SCAN chats", "SCAN ledger_entries"].contains(&step.as_str());
            assert!(skipped || !reads_a_whole_table(&step), "{step}: {statement}");
            let is_page = statement.contains("FROM user_") && statement.contains("ORDER BY id DESC");
            assert!(!(is_page && step.contains("TEMP B-TREE")), "{step}: {statement}");
        }
    }
    // The statements of a batch are prepared once, perhaps while tables are small. Even statistics
    // that say so must not make SQLite read them whole.
    conn.batch_execute("ANALYZE").unwrap();
    for statement in sent.iter().filter(|statement| statement.starts_with("WITH")) {
        for step in explain(&mut conn, statement) {
            assert!(!reads_a_whole_table(&step), "{step}: {statement}");
        }
    }
}

fn reads_a_whole_table(step: &str) -> bool {
    let tables = [
        "users",
        "auth_tokens",
        "chats",
        "ledger_entries",
        "idempotency_keys",
        "main.chats",
        "main.ledger_entries",
        "idx.chat_keys",
        "idx.entry_keys",
    ];
    step.strip_prefix("SCAN ")
        .is_some_and(|rest| tables.iter().any(|table| rest.split_whitespace().next() == Some(*table)))
}

/// Returns the steps of SQLite's plan. Texts are bound as they were sent, because a partial index
/// is used only if the parameter matches its condition. All other parameters are NULL.
pub(super) fn explain(conn: &mut DbConnection, statement: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let (sql, binds) = statement.split_once(" -- binds: ").unwrap_or((statement, "[]"));
    let DbConnection::Sqlite(conn) = conn else { panic!("only SQLite has such plans") };
    let mut query = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).into_boxed();
    for bind in texts(binds) {
        query = query.bind::<Nullable<Text>, _>(bind);
    }
    let steps: Vec<Step> = query.load(conn).unwrap_or_else(|error| panic!("{error}: {statement}"));
    steps.into_iter().map(|step| step.detail).collect()
}

/// Returns the texts of a list such as `["pending", 7, [1, 2]]`, and `None` for the other values.
fn texts(binds: &str) -> Vec<Option<String>> {
    let inner = binds.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or("");
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0, false);
    for character in inner.chars() {
        match character {
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => depth += 1,
            ']' | ')' if !quoted => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if character != ',' || quoted || depth > 0 => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    if inner.is_empty() {
        return Vec::new();
    }
    let text = |part: &String| Some(part.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned());
    parts.iter().map(text).collect()
}

/// Does what users and the server itself do in a day.
async fn use_everything(db: Db) {
    let rules = AccountRules {
        session_idle: chrono::TimeDelta::hours(1),
        session_lifetime: chrono::TimeDelta::hours(12),
        large_grant: 0,
        opening_tokens: 4000,
        requests_per_minute: 600,
        registration_open: true,
        unified_login_errors: false,
        auth_token_lifetime: None,
        auth_token_idle: Some(chrono::TimeDelta::days(1)),
    };
    let auth = Auth::new(db.clone(), Hasher::new(4, 1), Throttle::new(false, 1), rules);
    let (from, notes) = (IpAddr::from(Ipv4Addr::LOCALHOST), RequestNotes::begin());
    let (name, password) = (Some("ada"), Some("correct horse battery"));
    auth.register(from, notes.clone(), name, password).await.unwrap();
    auth.register(from, notes.clone(), name, password).await.unwrap_err();
    let plain = auth.log_in(LogIn { from, request: notes.clone(), username: name, password }).await.unwrap();
    let current = auth.current_user(plain.digest()).await.unwrap();
    let at_once = toll(&db, Duration::ZERO);
    let receipt = at_once.chat(request(plain.digest(), "hi")).await.unwrap();
    for _ in 0..2 {
        let keyed = ChatRequest { key: Some(key("one", "hi")), ..request(plain.digest(), "hi") };
        at_once.chat(keyed).await.unwrap();
    }
    toll(&db, Duration::from_millis(1)).chat(request(plain.digest(), "hi")).await.unwrap();
    let held = HeldWriter::hold(&db);
    let set: Vec<_> = (0..5)
        .map(|_| {
            let (db, charge) = (db.clone(), charge(plain.digest()));
            queue(async move { db.write_set(charge).await })
        })
        .collect();
    held.release().await;
    for verdict in join_all(set).await {
        charged(verdict.unwrap());
    }
    db.write_set(Charge { hold_for: Duration::ZERO, ..hold(plain.digest()) }).await.unwrap();
    assert_eq!(sweep(&db).await.unwrap(), 1);
    forget_idempotency_keys(&db).await.unwrap();
    run_adjustment(&db, adjustment(current.user.id, -1_000_000)).await.unwrap();
    run_adjustment(&db, adjustment(current.user.id, 1)).await.unwrap();

    for before in [None, Some(1000)] {
        current.chats(&db, Keyset { limit: 20, before }, |_| Ok(())).await.unwrap();
        current.statement(&db, Keyset { limit: 20, before }, |_| Ok(())).await.unwrap();
    }
    current.chat(&db, receipt.chat_id, |_| Ok(())).await.unwrap();
    current.profile(&db).await.unwrap();
    let wanted = AuthTokenRequest::parse(Some("a script"), Some(7)).unwrap();
    let (operation, fingerprint) = (OperationId::generate(), wanted.fingerprint("/auth-tokens/"));
    let wanted = wanted.once(operation, fingerprint);
    let AuthTokenOutcome::Made(made) = auth.make_own_auth_token(&current, from, wanted).await.unwrap() else {
        panic!("no operation has this id yet");
    };
    assert!(auth.find_operation(operation, fingerprint).await.unwrap().is_some());
    auth.auth_tokens(&current).await.unwrap();
    auth.revoke_own_auth_token(&current, from, made.stored.id).await.unwrap();
    auth.write_last_uses().await;
    auth.end_idle_auth_tokens().await.unwrap();
    let change = PasswordChange { from, request: notes, old: password, new: Some("another good password") };
    auth.change_password(current.clone(), change).await.unwrap();
    auth.log_out(&current, from, false).await.unwrap();
    auth.log_out(&current, from, true).await.unwrap();
}
