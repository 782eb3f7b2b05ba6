//! How long an upgrade takes with a million chats and with ten, and how long other clients wait for
//! it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use rstest::rstest;

use super::dump::Dump;
use crate::support::server::{Server, tollgate};
use crate::support::{On, figures, require};

/// The chats of each user.
const CHATS_EACH: i64 = 100;
/// The longest time that another client's read may wait for an upgrade, and a start may take after
/// it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest time that a debit on PostgreSQL may wait, whatever the number of chats: other nodes
/// go on. On SQLite the migration is one transaction, during which no server runs.
const LONGEST_LOCK: Duration = Duration::from_secs(10);
/// Time limit for an upgrade of a million chats by `tollgate migrate`.
const LONGEST_UPGRADE: Duration = Duration::from_secs(120);

/// Fills the old schema with users who have sent chats of one token each.
fn fill(dump: &Dump, count: i64) {
    let random = match dump.on {
        On::Sqlite => "randomblob(16)",
        On::Postgres => "uuid_send(gen_random_uuid())",
    };
    let day = "'2026-11-28 12:00:00'";
    let (users, each) = (numbers(dump.on, count / CHATS_EACH), numbers(dump.on, count));
    // Ids far above those of the dump. The chats of a user are consecutive.
    let owner = format!("1001 + (i - 1) / {CHATS_EACH}");
    let turn = format!("(i - 1) % {CHATS_EACH} + 1");
    let statements = [
        format!(
            "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
             {users} SELECT 1000 + i, 'many-' || i, 'many-' || i, '!', 4000 - {CHATS_EACH}, {day} FROM n"
        ),
        format!(
            "INSERT INTO ledger_entries (id, user_id, amount, balance_after, kind, operation_id, created_at)
             {users} SELECT 1000 + i, 1000 + i, 4000, 4000, 'opening', {random}, {day} FROM n"
        ),
        format!(
            "INSERT INTO chats (id, user_id, message, response, model, state, failure, charge, origin,
                created_at, finished_at)
             {each} SELECT 1000 + i, {owner}, 'message number ' || i, 'Response to message number ' || i, 'dummy',
                CASE i % 10 WHEN 0 THEN 'failed' ELSE 'complete' END,
                CASE i % 10 WHEN 0 THEN 'the model fell silent' END, 1, 'live', {day}, {day} FROM n"
        ),
        format!(
            "INSERT INTO ledger_entries (id, user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
             {each} SELECT 10000000 + i, {owner}, -1, 4000 - ({turn}), 'charge', 1000 + i, {random}, {day} FROM n"
        ),
        format!(
            "INSERT INTO audit_log (created_at, action, object_kind, object_id, changes)
             {each} SELECT {day}, 'logged out everywhere', 'user', {owner},
                '[{{\"field\":\"auth tokens revoked\",\"before\":\"\",\"after\":\"1\"}}]' FROM n WHERE i % 10 = 0"
        ),
    ];
    let mut conn = dump.conn();
    if dump.on == On::Sqlite {
        // Operation ids are random. Pages that do not fit would go to the log and be read from
        // there again and again, which takes hours.
        conn.batch_execute("PRAGMA cache_size = -8000000").unwrap();
    }
    for statement in statements {
        conn.batch_execute(&statement).unwrap_or_else(|error| panic!("{error} in {statement}"));
    }
    if dump.on == On::Postgres {
        conn.batch_execute(
            "SELECT setval('chats_id_seq', (SELECT max(id) FROM chats));
             SELECT setval('ledger_entries_id_seq', (SELECT max(id) FROM ledger_entries));
             SELECT setval('users_id_seq', (SELECT max(id) FROM users)); ANALYZE",
        )
        .unwrap();
    }
}

/// Returns the SQL of a table `n` with the numbers from 1 to `most` in the column `i`.
fn numbers(on: On, most: i64) -> String {
    match on {
        On::Sqlite => {
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
        }
        On::Postgres => format!("WITH n(i) AS (SELECT generate_series(1::bigint, {most}::bigint))"),
    }
}

/// Acts as another node until `stop` is set: reads, and updates a user's row as a debit does.
/// Returns the longest time of each.
fn others(dump: &Dump, stop: &AtomicBool) -> (Duration, Duration) {
    let mut conn = dump.conn();
    if dump.on == On::Sqlite {
        conn.batch_execute("PRAGMA busy_timeout = 60000").unwrap();
    }
    let mut longest = (Duration::ZERO, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        conn.batch_execute("SELECT id FROM chats WHERE user_id = 1001 ORDER BY id DESC LIMIT 20").unwrap();
        longest.0 = longest.0.max(begun.elapsed());
        let begun = Instant::now();
        conn.batch_execute("UPDATE users SET last_login = last_login WHERE id = 1001").unwrap();
        longest.1 = longest.1.max(begun.elapsed());
        // A pause as on a busy node. On SQLite, a writer without pauses would starve all others.
        std::thread::sleep(Duration::from_millis(2));
    }
    longest
}

#[rstest]
fn millions_of_chats_are_upgraded_without_a_long_lock(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(1, 10)] millions: u32,
) {
    if !require::proofs() {
        return;
    }
    let Some(dump) = Dump::restore(on) else { return };
    fill(&dump, i64::from(millions) * 1_000_000);
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let (migrated, took, (read, debit)) = std::thread::scope(|scope| {
        let others = scope.spawn(|| others(&dump, &stop));
        let migrated = tollgate(&["migrate", "--database-url", dump.database.url()]);
        let took = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        (migrated, took, others.join().unwrap())
    });
    assert!(migrated.status.success(), "{migrated:?}");
    let begun = Instant::now();
    let mut server = Server::start(&dump.database, &[]);
    let ready = begun.elapsed();
    let token = server.user("newcomer");
    assert_eq!(server.chat(&token, "hello").status, 201);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    // `verify` itself would take minutes here. The other tests run it.
    let wrong = "SELECT count(*) FROM users LEFT JOIN
                     (SELECT user_id, sum(amount) AS amounts FROM ledger_entries GROUP BY user_id) AS sums
                     ON sums.user_id = users.id
                 WHERE tokens <> coalesce(amounts, 0)";
    assert_eq!(dump.number(wrong), 0, "some balances are not the sums of their ledgers");
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let count =
        String::from_utf8_lossy(&migrated.stdout).lines().filter(|line| line.starts_with("applied ")).count();
    figures::report(
        &format!("upgrade from e6659d3 with {millions},000,000 chats, {on:?}"),
        &format!(
            "{count} migrations in {}; longest wait of others meanwhile: read {}, debit {}; then start to ready {}",
            seconds(took),
            seconds(read),
            seconds(debit),
            seconds(ready)
        ),
    );
    assert!(took < LONGEST_UPGRADE * millions, "{took:?}");
    assert!(read < LONGEST_WAIT, "a read waited for {read:?}");
    assert!(on == On::Sqlite || debit < LONGEST_LOCK, "a debit waited for {debit:?}");
    assert!(ready < LONGEST_WAIT, "the start took {ready:?}");
}
