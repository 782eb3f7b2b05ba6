//! The plans of a writer's statements on PostgreSQL. Each is made once, for the tables as they are
//! then, and kept. PostgreSQL counts the rows and the index entries that they read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rstest::rstest;
use tollgate::auth::fill_skeletons;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::index::search::{SearchIndex, Span, Term, Wanted, find};
use tollgate::metering::{Arrived, Charge, Charged, Ending, end_hold};

use crate::support::ledger::{Account, Ledger, charge, charged, count, hold, key, lines, open};
use crate::support::writer::{HeldWriter, queue};
use crate::support::{On, wait};

const MANY: i64 = 1000;

/// Other users with auth tokens, each with a finished chat. Statistics of this moment, if they are
/// made, know of no pending chat.
fn others(conn: &mut DbConnection, analyzed: bool) {
    let users = format!(
        "INSERT INTO users (username, username_canonical, password, tokens, date_joined)
         SELECT 'user' || i, 'user' || i, '!', 4000, now() FROM generate_series(1, {MANY}) i;
         INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
         SELECT id, sha256(username::bytea), 'tg', now() FROM users WHERE username LIKE 'user%';
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
         SELECT id, 'hi', 'yes', 'dummy', 'complete', 0, 'live', now(), now() FROM users;"
    );
    conn.batch_execute(&users).unwrap();
    if analyzed {
        conn.batch_execute("ANALYZE").unwrap();
    }
    let holds = "INSERT INTO chats (user_id, message, model, state, charge, origin, created_at, deadline)
                 SELECT id, 'hi', 'dummy', 'pending', 0, 'live', now(), now() + interval '1 day' FROM users
                 WHERE username LIKE 'user%'";
    conn.batch_execute(holds).unwrap();
}

/// Returns for each table and index how many of its rows and entries have been read. Each
/// connection counts at its end.
fn read_so_far(ledger: &Ledger) -> BTreeMap<String, i64> {
    let mut conn = ledger.raw();
    let connections = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()
                       AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    wait::until("the other connections to end", Duration::from_secs(20), || {
        (count(&mut conn, connections) == 0).then_some(())
    });
    let read = "SELECT relname || ' ' || seq_tup_read AS line FROM pg_stat_user_tables
                UNION ALL SELECT indexrelname || ' ' || idx_tup_read FROM pg_stat_user_indexes";
    let numbers = lines(&mut conn, read).into_iter().map(|line| {
        let (name, number) = line.split_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    });
    numbers.collect()
}

/// Sends all charges as one batch.
async fn together(db: &Db, charges: Vec<Charge>) -> Vec<Charged> {
    let held = HeldWriter::hold(db);
    let queued: Vec<_> = charges
        .into_iter()
        .map(|charge| {
            let db = db.clone();
            queue(async move { db.write_set(charge).await })
        })
        .collect();
    held.release().await;
    join_all(queued).await.into_iter().map(|verdict| charged(verdict.unwrap())).collect()
}

/// Charges, holds and settles for both users. Returns the number of chats.
async fn use_all(db: &Db, users: [Account; 2]) -> usize {
    let tokens = [users[0].auth_token, users[1].auth_token];
    let mut done = together(db, tokens.map(charge).to_vec()).await.len();
    let keyed = tokens.map(|token| Charge { key: Some(key("one", "hi")), ..charge(token) });
    done += together(db, keyed.to_vec()).await.len();
    let mut holds = Vec::new();
    for _ in 0..4 {
        holds.extend(together(db, tokens.map(hold).to_vec()).await);
    }
    for held in &holds {
        let chat_id = held.chat_id;
        let arrived = Arrived { text: Some("yes".to_owned()), ..Arrived::default() };
        let ending = Ending::Complete { cost: Some(1), arrived };
        let settle = move |conn: &mut DbConnection| {
            Ok(end_hold(conn, chat_id, &ending, OperationId::generate(), clock::now())?)
        };
        db.write(Scope::user(held.user_id), settle).await.unwrap();
    }
    done + holds.len()
}

/// Without statistics, a plan is made for guessed sizes. With statistics, it is made for small
/// tables without pending chats.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_reads_what_it_needs_and_no_more(#[values(false, true)] analyzed: bool) {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let users = [ledger.user("ada", 4000).await, ledger.user("bob", 4000).await];
    others(&mut ledger.raw(), analyzed);
    let closes_by = || Instant::now() + Duration::from_secs(20);
    ledger.db.close(closes_by()).unwrap();
    let before = read_so_far(&ledger);
    let db = open(ledger.url(), 1);
    let chats = use_all(&db, users).await;
    db.close(closes_by()).unwrap();
    let mut read = read_so_far(&ledger);
    read.iter_mut().for_each(|(name, number)| *number -= before[name]);
    read.retain(|_, number| *number > 0);
    // Reading a table or the pending chats of all users once is 1,000 already.
    let most = 10 * i64::try_from(chats).unwrap();
    assert!(!read.is_empty() && read.values().all(|number| *number <= most), "{chats} chats: {read:#?}");
}

/// After an upgrade, what names look like is computed for all users, in parts.
#[tokio::test(flavor = "multi_thread")]
async fn computing_what_names_look_like_reads_each_user_once() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    // So many that reading all of them for each part is not the best plan.
    let users = 6_000;
    ledger.sql(&format!(
        "INSERT INTO users (username, username_canonical, password, tokens, date_joined)
         SELECT 'user' || i, 'user' || i, '!', 0, now() FROM generate_series(1, {users}) i;
         ANALYZE"
    ));
    let closes_by = || Instant::now() + Duration::from_secs(20);
    ledger.db.close(closes_by()).unwrap();
    let before = read_so_far(&ledger);
    let db = open(ledger.url(), 1);
    let filled = fill_skeletons(&db).await.unwrap();
    assert_eq!(filled as i64, users);
    db.close(closes_by()).unwrap();
    let after = read_so_far(&ledger);
    // Once to read the names, and once to store what they look like.
    for name in ["users", "users_pkey"] {
        let read = after[name] - before[name];
        assert!(read <= 4 * users, "{read} rows of {name} were read for {users} users");
    }
}

/// A name that many users have becomes many terms, any of which a row may have. PostgreSQL thinks
/// that each of them is frequent.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_for_many_terms_uses_the_index() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let rows = 20_000;
    ledger.sql(&format!(
        "INSERT INTO history_search (id, terms)
         SELECT i, array_to_tsvector(ARRAY['=u' || (i % 5000), '=b' || (i >> 15), 'word' || i])
         FROM generate_series(1, {rows}) i;
         UPDATE follower_marks SET position = {rows} WHERE name = 'audit_log';
         ANALYZE"
    ));
    ledger.db.close(Instant::now() + Duration::from_secs(20)).unwrap();
    let before = read_so_far(&ledger);
    let of_users = (0..100).map(|user| vec![Term::user(1_000_000 + user)]);
    let wanted = Wanted::default().and_any(of_users.chain([vec![Term::user(7)]]));
    let span = Span { above: 0, below: i64::MAX, descending: true, limit: 10_000 };
    let hits = find(&mut ledger.raw(), SearchIndex::History, &wanted, span).unwrap();
    assert_eq!((hits.ids.len(), hits.looked_until), (4, None));
    let read = read_so_far(&ledger)["history_search"] - before["history_search"];
    assert_eq!(read, 0, "the whole table was read");
}
