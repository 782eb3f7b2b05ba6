//! What only PostgreSQL does to a batch: it ends connections, and aborts one of two conflicting
//! transactions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use rstest::rstest;
use tollgate::db::{DbConnection, Scope};
use tollgate::error::Error;
use tollgate::metering::adjust;

use super::eight::{Connection, Eight};
use crate::support::ledger::{Ledger, adjustment, count, open, status};
use crate::support::writer::{HeldWriter, Queued, queue};
use crate::support::{On, wait};

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_connection_gives_the_whole_batch_503_and_the_next_batch_succeeds() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let end = "SELECT pg_terminate_backend(pg_backend_pid()); SELECT pg_sleep(10)";
    let outcome = eight.run(|conn, _| Ok(conn.batch_execute(end)?)).await;
    outcome.assert([503; 8], [1, 1, 1, 1, 1, 0, 0, 0], Connection::ThrownAway);
    eight.assert_recovered().await;
}

/// A commit of money waits for the disk, whatever the cluster, the database or the role say. Only
/// the index, which can be built again, does not wait.
#[rstest]
#[case::off("off", "on")]
#[case::local("local", "on")]
#[case::remote_write("remote_write", "remote_write")]
#[case::remote_apply("remote_apply", "remote_apply")]
#[tokio::test(flavor = "multi_thread")]
async fn commits_are_durable_whatever_the_database_says(#[case] set: &str, #[case] used: &str) {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    ledger.sql(&format!(
        "DO $$ BEGIN
             EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {set}', current_database());
         END $$"
    ));
    let db = open(ledger.url(), 1);
    assert_eq!(db.write(Scope::none(), synchronous_commit).await.unwrap(), used);
    assert_eq!(db.write_bulk(Scope::none(), synchronous_commit).await.unwrap(), used);
    assert_eq!(db.write_index(synchronous_commit).await.unwrap(), "off");
}

fn synchronous_commit(conn: &mut DbConnection) -> Result<String, Error> {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let query = "SELECT current_setting('synchronous_commit') AS value";
    Ok(diesel::sql_query(query).get_result::<Setting>(conn)?.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_terminated_between_two_batches_fails_no_job() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let mut raw = eight.ledger.raw();
    // Returns the number of other connections to this database.
    let end_all = "SELECT count(pg_terminate_backend(pid, 5000)) AS n FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(count(&mut raw, end_all) > 0);
    eight.assert_recovered().await;
}

/// `SQLSTATE` 40001, as a stricter isolation level or a replica may cause it.
const SERIALIZATION_FAILURE: &str = "DO $$ BEGIN RAISE EXCEPTION 'a test' USING ERRCODE = '40001'; END $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_again_after_a_serialization_failure() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let outcome = eight
        .run(|conn, run| if run == 1 { Ok(conn.batch_execute(SERIALIZATION_FAILURE)?) } else { Ok(()) })
        .await;
    outcome.assert([200; 8], [2, 2, 2, 2, 2, 1, 1, 1], Connection::ThrownAway);
    eight.assert_recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_job_whose_serialization_fails_repeatedly_gets_503() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let outcome = eight.run(|conn, _| Ok(conn.batch_execute(SERIALIZATION_FAILURE)?)).await;
    assert!(matches!(outcome.answers[4], Err(Error::Unavailable(_))));
    outcome.assert(
        [200, 200, 200, 200, 503, 200, 200, 200],
        [2, 2, 2, 2, 3, 1, 1, 1],
        Connection::ThrownAway,
    );
    eight.assert_recovered().await;
}

/// Another transaction holds a row that the fifth job wants, and waits for one that the batch has.
/// Its `deadlock_timeout` is long, so PostgreSQL aborts the batch.
#[tokio::test(flavor = "multi_thread")]
async fn the_victim_of_a_deadlock_is_run_again() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let (bystander, fifth) = (eight.ledger.user("bystander", 0).await.id, eight.accounts[4].id);
    let mut other = eight.ledger.raw();
    let touch = |id: i64| format!("UPDATE users SET version = version WHERE id = {id}");
    other.batch_execute(&format!("BEGIN; SET LOCAL deadlock_timeout = '1h'; {}", touch(bystander))).unwrap();
    let pid = count(&mut other, "SELECT pg_backend_pid()::bigint AS n");
    let (sender, receiver) = mpsc::channel::<()>();
    let others_turn = touch(fifth);
    let other = std::thread::spawn(move || {
        receiver.recv().unwrap();
        other.batch_execute(&others_turn).unwrap();
        other.batch_execute("ROLLBACK").unwrap();
    });
    let wants_bystander = touch(bystander);
    let outcome = eight
        .run(move |conn, run| {
            if run == 1 {
                sender.send(()).unwrap();
                let is_waiting =
                    format!("SELECT count(*) AS n FROM pg_locks WHERE pid = {pid} AND NOT granted");
                wait::until("the other transaction", Duration::from_secs(5), || {
                    (count(conn, &is_waiting) > 0).then_some(())
                });
                conn.batch_execute("SET LOCAL deadlock_timeout = '10ms'")?;
            }
            Ok(conn.batch_execute(&wants_bystander)?)
        })
        .await;
    other.join().unwrap();
    outcome.assert([200; 8], [2, 2, 2, 2, 2, 1, 1, 1], Connection::ThrownAway);
    eight.assert_recovered().await;
}

/// The second run, with savepoints, must lock the users in the order of their ids, like the first.
/// Between the two runs, another node locks the first user and then wants the last, whom the
/// batch's first job changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_run_again_with_savepoints_still_locks_in_the_order_of_the_ids() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let [first, middle, last] = [0, 4, 7].map(|place| eight.accounts[place].id);
    let touch = |id: i64| format!("UPDATE users SET version = version WHERE id = {id}");
    let waiting = "SELECT count(*) AS n FROM pg_locks JOIN pg_stat_activity USING (pid)
                   WHERE NOT granted AND datname = current_database()";
    let (sender, receiver) = mpsc::channel::<()>();
    let (has_first, wait_for_first) = mpsc::channel::<()>();
    let (mut node, mut observer) = (eight.ledger.raw(), eight.ledger.raw());
    let node = std::thread::spawn(move || {
        receiver.recv().unwrap();
        // This waits for the first run, and goes on when that is rolled back.
        node.batch_execute(&format!("BEGIN; {}", touch(first))).unwrap();
        let _ = has_first.send(());
        // If the second run locked first, nothing waits.
        let deadline = Instant::now() + PATIENCE;
        while count(&mut observer, waiting) == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        node.batch_execute(&format!("{}; COMMIT", touch(last)))
    });
    let held = HeldWriter::hold(&eight.ledger.db);
    let observer = Mutex::new(eight.ledger.raw());
    let fails = move |run: usize| {
        if run == 1 {
            sender.send(()).unwrap();
            let mut observer = observer.lock().unwrap();
            wait::until("the other node", PATIENCE, || (count(&mut observer, waiting) > 0).then_some(()));
        }
        Err(Error::NotFound)
    };
    let wait_for_first = Mutex::new(wait_for_first);
    let lets_the_node_go_first = move |run: usize| {
        if run == 2 {
            let _ = wait_for_first.lock().unwrap().recv_timeout(PATIENCE / 4);
        }
        Ok(())
    };
    let answers = [
        adjust_then(&eight, last, Box::new(lets_the_node_go_first)),
        adjust_then(&eight, middle, Box::new(fails)),
        adjust_then(&eight, first, Box::new(|_| Ok(()))),
    ];
    held.release().await;
    let statuses: Vec<u16> = futures_util::future::join_all(answers).await.iter().map(status).collect();
    assert_eq!(statuses, [200, 404, 200]);
    node.join().unwrap().expect("the other node met a deadlock");
    let deadlocks = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(count(&mut eight.ledger.raw(), deadlocks), 0);
    eight.assert_recovered().await;
}

const PATIENCE: Duration = Duration::from_secs(2);

/// Queues a job that gives the user a token and then calls `then` with the number of its run, from
/// 1.
fn adjust_then(
    eight: &Eight,
    user_id: i64,
    then: Box<dyn Fn(usize) -> tollgate::error::Result<()> + Send + Sync>,
) -> Queued<()> {
    let (db, adjustment) = (eight.ledger.db.clone(), adjustment(user_id, 1));
    let runs = AtomicUsize::new(0);
    queue(async move {
        let job = move |conn: &mut DbConnection| {
            adjust(conn, &adjustment)?;
            then(runs.fetch_add(1, Ordering::SeqCst) + 1)
        };
        db.write(Scope::user(user_id), job).await
    })
}
