//! A database with its schema, for tests that call the library directly.

use std::path::Path;
use std::time::Duration;

use actix_web::ResponseError;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tokio::runtime::Handle;
use tollgate::chat::{Chain, ChatRequest, Prices, Prompt, SlotBounds, Toll};
use tollgate::clock;
use tollgate::db::{Db, DbConnection, DbOptions, Scope, attach_index};
use tollgate::domain::{
    Endpoint, Fingerprint, IdempotencyKey, OperationId, PlainToken, TokenDigest, Username,
};
use tollgate::error::Result;
use tollgate::logging::RequestNotes;
use tollgate::metering::{
    Adjusted, Adjustment, Charge, NewAccount, OpenedAccount, Verdict, adjust, open_account, verify,
};
use tollgate::models::{AuthToken, Chat, Keyset, LedgerEntry, NewAuthToken, User};
use tollgate::responder::{Dummy, Responder};
use tollgate::throttle::MemoryBudget;

use super::{On, TestDatabase};

/// The price of a chat in these tests.
pub const PRICE: i64 = 100;

/// More concurrent chats than any of these tests starts, except those about this limit.
pub const CONCURRENT_CHATS: i64 = 1_000_000;

/// One node and its database, which is dropped with it.
pub struct Ledger {
    pub db: Db,
    database: TestDatabase,
}

/// A user and one of the user's auth tokens.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub id: i64,
    pub auth_token: TokenDigest,
}

impl Ledger {
    /// Creates a database. `None` if this machine does not have it.
    pub fn create(on: On) -> Option<Ledger> {
        Ledger::with_writers(on, 2)
    }

    /// Sets the number of writers on PostgreSQL: one, if a test must know what is in a batch.
    pub fn with_writers(on: On, pg_writers: usize) -> Option<Ledger> {
        let database = TestDatabase::create(on)?;
        let db = open(database.url(), pg_writers);
        db.migrate().unwrap();
        Some(Ledger { db, database })
    }

    /// Opens a database that has its schema.
    pub fn of(database: TestDatabase) -> Ledger {
        Ledger { db: open(database.url(), 2), database }
    }

    /// Opens another node on the same database. On SQLite it represents another process, such as a
    /// command.
    pub fn node(&self) -> Db {
        open(self.database.url(), 2)
    }

    /// Opens the database again, after it was closed.
    pub fn reopened(self) -> Ledger {
        let db = open(self.database.url(), 2);
        Ledger { db, ..self }
    }

    pub fn url(&self) -> &str {
        self.database.url()
    }

    /// Returns which database it is.
    pub fn on(&self) -> On {
        self.database.on()
    }

    /// Opens a connection without any of Tollgate's restrictions.
    pub fn raw(&self) -> DbConnection {
        raw(self.database.on(), self.database.url())
    }

    #[track_caller]
    pub fn sql(&self, statements: &str) {
        self.raw().batch_execute(statements).unwrap();
    }

    /// Makes a user with one auth token.
    pub async fn user(&self, name: &str, tokens: i64) -> Account {
        let new = new_account(name, tokens);
        let opened = self.db.write(Scope::none(), move |conn| Ok(open_account(conn, &new)?)).await.unwrap();
        let OpenedAccount::Opened(id) = opened else { panic!("the name {name} is taken") };
        Account { id, auth_token: self.auth_token(id).await }
    }

    /// Makes another auth token of a user.
    pub async fn auth_token(&self, user_id: i64) -> TokenDigest {
        let plain = PlainToken::generate().unwrap();
        let new = NewAuthToken {
            user_id,
            digest: plain.digest().as_bytes().to_vec(),
            first_characters: plain.first_characters().to_owned(),
            name: None,
            created_at: clock::now(),
            expires_at: None,
            operation_id: None,
            fingerprint: None,
        };
        self.db.write(Scope::user(user_id), move |conn| Ok(new.insert(conn)?)).await.unwrap();
        plain.digest()
    }

    #[track_caller]
    pub fn balance(&self, user_id: i64) -> i64 {
        let user = self.db.read_blocking(|conn| Ok(User::find(conn, user_id)?)).unwrap();
        user.expect("the user is there").tokens
    }

    /// Returns a user's whole statement, oldest first.
    pub fn entries(&self, user_id: i64) -> Vec<LedgerEntry> {
        let mut entries =
            self.db.read_blocking(|conn| LedgerEntry::page_of(conn, user_id, EVERYTHING)).unwrap();
        entries.reverse();
        entries
    }

    /// Returns all chats of a user, oldest first.
    pub fn chats(&self, user_id: i64) -> Vec<Chat> {
        let read = |conn: &mut DbConnection| Chat::page_within(conn, user_id, EVERYTHING, usize::MAX);
        let mut chats = self.db.read_blocking(read).unwrap().rows;
        chats.reverse();
        chats
    }

    #[track_caller]
    pub fn count(&self, table: &str) -> i64 {
        count(&mut self.raw(), &format!("SELECT count(*) AS n FROM {table}"))
    }

    /// Checks that this node has counted, for the metrics, what the ledger and the chats say. All
    /// of it must have been written by this node.
    #[track_caller]
    pub fn assert_counted(&self) {
        let totals = &self.db.writer_measures().totals;
        let moved = totals.moved().filter(|(_, entries, _)| *entries > 0);
        let mut counted: Vec<String> =
            moved.map(|(moved, entries, tokens)| format!("{} {entries} {tokens}", moved.name())).collect();
        let ends = totals.ends().chain(totals.failures()).filter(|(_, number)| *number > 0);
        counted.extend(ends.map(|(name, number)| format!("{name} {number}")));
        counted.sort_unstable();
        let mut stored = lines(&mut self.raw(), COUNTED);
        stored.sort_unstable();
        assert_eq!(counted, stored);
    }

    /// Checks that `verify` finds no errors.
    #[track_caller]
    pub fn assert_sound(&self) {
        let findings = verify::verify(&self.db).unwrap();
        assert!(findings.len() > 10, "verify has lost its checks");
        let wrong: Vec<_> = findings.iter().filter(|finding| !finding.faults.is_empty()).collect();
        assert!(wrong.is_empty(), "verify found {wrong:#?}");
    }
}

/// The ledger entries of each kind, with their tokens; and the chats that have ended in each way,
/// and why they have failed.
const COUNTED: &str = "
    SELECT kind || ' ' || CAST(count(*) AS text) || ' ' || CAST(sum(tokens) AS text) AS line FROM (
        SELECT abs(amount) AS tokens,
            CASE WHEN kind = 'refund' AND actor_id IS NOT NULL THEN 'refund_by_administrator'
                 WHEN kind = 'adjustment' AND amount < 0 THEN 'deduction'
                 WHEN kind = 'adjustment' THEN 'grant' ELSE kind END AS kind
        FROM ledger_entries) entries
    GROUP BY kind
    UNION ALL SELECT state || ' ' || CAST(count(*) AS text) FROM chats WHERE state <> 'pending' GROUP BY state
    UNION ALL SELECT failure || ' ' || CAST(count(*) AS text) FROM chats WHERE state = 'failed' GROUP BY failure";

const EVERYTHING: Keyset = Keyset { limit: 1_000_000, before: None };

/// Opens a node on the database at `url`.
pub fn open(url: &str, pg_writers: usize) -> Db {
    let url = url.parse().unwrap();
    // The limit is long because many of these tests delay a writer on purpose.
    let pg_writers = Some(pg_writers);
    let options = DbOptions { url, read_connections: 4, pg_writers, hangs_after: Duration::from_secs(60) };
    Db::open(&options).unwrap()
}

/// Opens a connection without any of Tollgate's restrictions. On SQLite, the index is attached.
pub fn raw(on: On, url: &str) -> DbConnection {
    match on {
        On::Sqlite => {
            let mut connection = SqliteConnection::establish(url).unwrap();
            connection
                .batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON",
                )
                .unwrap();
            attach_index(&mut connection, Path::new(url)).unwrap();
            DbConnection::Sqlite(connection)
        }
        On::Postgres => DbConnection::Postgres(PgConnection::establish(url).unwrap()),
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

/// Returns the one number of a query's result, in a column named `n`.
#[track_caller]
pub fn count(conn: &mut DbConnection, query: &str) -> i64 {
    diesel::sql_query(query).get_result::<Count>(conn).unwrap().n
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

/// Returns the texts of a query's result, in a column named `line`.
#[track_caller]
pub fn lines(conn: &mut DbConnection, query: &str) -> Vec<String> {
    let rows: Vec<Line> = diesel::sql_query(query).load(conn).unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

pub fn new_account(name: &str, tokens: i64) -> NewAccount {
    NewAccount {
        username: Username::parse(name).unwrap(),
        password_hash: "!".to_owned(),
        tokens,
        is_superuser: false,
        operation_id: OperationId::generate(),
        now: clock::now(),
    }
}

/// Makes a charge of [`PRICE`] that is answered at once.
pub fn charge(auth_token: TokenDigest) -> Charge {
    Charge {
        auth_token,
        endpoint: Endpoint::Chat,
        message: "hi".to_owned(),
        model: "dummy".to_owned(),
        price: PRICE,
        response: Some("Response to hi".to_owned()),
        hold_for: Duration::from_secs(3600),
        concurrent_chats: CONCURRENT_CHATS,
        conversation_id: None,
        key: None,
        operation_id: OperationId::generate(),
        now: clock::now(),
    }
}

/// Makes a charge of [`PRICE`] whose answer comes later.
pub fn hold(auth_token: TokenDigest) -> Charge {
    Charge { response: None, ..charge(auth_token) }
}

/// Makes an idempotency key with the fingerprint of a chat request for `message`.
pub fn key(key: &str, message: &str) -> (IdempotencyKey, Fingerprint) {
    (IdempotencyKey::parse(key).unwrap(), Fingerprint::of("/chat/", &[("message", message)]))
}

pub fn adjustment(user_id: i64, amount: i64) -> Adjustment {
    Adjustment {
        user_id,
        amount,
        note: "a test".to_owned(),
        actor_id: None,
        operation_id: OperationId::generate(),
        now: clock::now(),
    }
}

pub async fn run_adjustment(db: &Db, adjustment: Adjustment) -> Result<Adjusted> {
    let scope = Scope::user(adjustment.user_id);
    db.write(scope, move |conn| Ok(adjust(conn, &adjustment)?)).await
}

pub async fn revoke_all(db: &Db, user_id: i64) {
    let job = move |conn: &mut DbConnection| Ok(AuthToken::revoke_all(conn, user_id, None, clock::now())?);
    db.write(Scope::user(user_id), job).await.unwrap();
}

/// Returns the chat that a charge made.
#[track_caller]
pub fn charged(verdict: Verdict) -> tollgate::metering::Charged {
    match verdict {
        Verdict::Charged(charged) => charged,
        other => panic!("not charged: {other:?}"),
    }
}

/// Makes a toll with a dummy that takes `delay` to answer.
pub fn toll(db: &Db, delay: Duration) -> Toll {
    let responder = Responder::Dummy(Dummy { delay, failures_percent: 0 });
    Toll::new(
        db.clone(),
        responder,
        Prices {
            chat: PRICE,
            concurrent_chats: CONCURRENT_CHATS,
            slots: SlotBounds { waiting: 0, patience: Duration::from_secs(1) },
            stores_responses: true,
            stored_bytes: 256 << 20,
            top_up: None,
        },
        MemoryBudget::new(64 << 20),
        Handle::current(),
    )
}

pub fn request(auth_token: TokenDigest, message: &str) -> ChatRequest {
    ChatRequest {
        endpoint: Endpoint::Chat,
        auth_token,
        message: message.to_owned(),
        prompt: Prompt::Message,
        key: None,
        notes: RequestNotes::begin(),
        chain: Chain::default(),
        memory: None,
    }
}

/// Returns the status that a client would get.
pub fn status<T>(outcome: &Result<T>) -> u16 {
    outcome.as_ref().map_or_else(|error| error.status_code().as_u16(), |_| 200)
}
