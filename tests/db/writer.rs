//! A batch of eight jobs in which one fails: what each caller gets, what is stored, and how many
//! times each job ran. The table at the top of `src/db/writer/batch.rs` says what is expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rstest::rstest;
use tollgate::db::{DbConnection, Scope};
use tollgate::error::{Error, Result};
use tollgate::metering::adjust;

use super::eight::{Connection, Eight};
use crate::support::On;
use crate::support::ledger::{adjustment, status};
use crate::support::writer::{HeldWriter, queue};

const ALL_503: [u16; 8] = [503; 8];
/// The statuses if only the fifth job fails. The first run ends at that job, so the later ones run
/// only once.
const FIFTH_500: [u16; 8] = [200, 200, 200, 200, 500, 200, 200, 200];
/// How many times each job ran if the first run ended at the fifth job and there was no second.
const ENDED_AT_FIFTH: [usize; 8] = [1, 1, 1, 1, 1, 0, 0, 0];

fn execute(conn: &mut DbConnection, statements: &str) -> Result<()> {
    Ok(conn.batch_execute(statements)?)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_which_no_job_returns_an_error_runs_each_job_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(eight) = Eight::create(on).await else { return };
    let outcome = eight.run(|_, _| Ok(())).await;
    outcome.assert([200; 8], [1; 8], Connection::Kept);
    eight.assert_recovered().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_unique_violation_loses_only_its_own_job(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(eight) = Eight::create(on).await else { return };
    let taken = "INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
                 SELECT user_id, digest, first_characters, created_at FROM auth_tokens";
    let outcome = eight.run(|conn, _| execute(conn, taken)).await;
    assert!(outcome.answers[4].as_ref().is_err_and(Error::is_unique_violation), "{outcome:?}");
    outcome.assert(FIFTH_500, [2, 2, 2, 2, 2, 1, 1, 1], Connection::Kept);
    eight.assert_recovered().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_after_it_wrote_is_undone_alone(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(0, 4, 7)] place: usize,
) {
    let Some(eight) = Eight::create(on).await else { return };
    let outcome = eight.run_with(place, Box::new(|_, _| Err(Error::NotFound))).await;
    let mut statuses = [200; 8];
    statuses[place] = 404;
    let runs = std::array::from_fn(|other| if other <= place { 2 } else { 1 });
    outcome.assert(statuses, runs, Connection::Kept);
    eight.assert_recovered().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn several_jobs_that_fail_after_they_wrote_are_undone_alone(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(eight) = Eight::create(on).await else { return };
    let held = HeldWriter::hold(&eight.ledger.db);
    let answers = [0, 1, 3, 6].map(|place| {
        let (db, adjustment) = (eight.ledger.db.clone(), adjustment(eight.accounts[place].id, 1));
        let fails = place == 1 || place == 6;
        queue(async move {
            let scope = Scope::user(adjustment.user_id);
            let job = move |conn: &mut DbConnection| {
                adjust(conn, &adjustment)?;
                if fails { Err(Error::NotFound) } else { Ok(()) }
            };
            db.write(scope, job).await
        })
    });
    held.release().await;
    let statuses: Vec<u16> = join_all(answers).await.iter().map(status).collect();
    assert_eq!(statuses, [200, 404, 200, 404]);
    assert_eq!(eight.stored(), [1, 0, 0, 1, 0, 0, 0, 0]);
    eight.assert_recovered().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_loses_only_its_own_job(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(eight) = Eight::create(on).await else { return };
    let outcome = eight.run(|_, _| panic!("a job of a test panics on purpose")).await;
    assert!(matches!(outcome.answers[4], Err(Error::Internal(_))), "{outcome:?}");
    outcome.assert(FIFTH_500, [2, 2, 2, 2, 1, 1, 1, 1], Connection::ThrownAway);
    eight.assert_recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_gives_the_whole_batch_503_and_the_next_batch_succeeds() {
    let Some(eight) = Eight::create(On::Sqlite).await else { return };
    // Limits the file to its present size, for this connection only. This gives a real SQLITE_FULL.
    let fill = "PRAGMA max_page_count = 1;
                CREATE TABLE filler (bytes BLOB);
                INSERT INTO filler VALUES (zeroblob(1000000))";
    let outcome = eight.run(|conn, _| execute(conn, fill)).await;
    for answer in &outcome.answers {
        assert!(matches!(answer, Err(Error::Unavailable(why)) if why.contains("disk is full")), "{answer:?}");
    }
    outcome.assert(ALL_503, ENDED_AT_FIFTH, Connection::ThrownAway);
    eight.assert_recovered().await;
}

/// Why the database rejects a statement of a job.
#[derive(Clone, Copy, Debug)]
enum Failing {
    Syntax,
    MissingTable,
    AppendOnly,
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn any_other_database_error_gives_the_whole_batch_503(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Failing::Syntax, Failing::MissingTable, Failing::AppendOnly)] failing: Failing,
) {
    let Some(eight) = Eight::create(on).await else { return };
    let statement = match failing {
        Failing::Syntax => "SELEC 1",
        Failing::MissingTable => "DROP TABLE idempotency_keys; INSERT INTO idempotency_keys DEFAULT VALUES",
        Failing::AppendOnly => "UPDATE ledger_entries SET amount = 1000000",
    };
    let outcome = eight.run(move |conn, _| execute(conn, statement)).await;
    outcome.assert(ALL_503, ENDED_AT_FIFTH, Connection::ThrownAway);
    eight.assert_recovered().await;
}

/// After the error, PostgreSQL treats COMMIT as ROLLBACK, and reports success.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_swallows_an_error_on_postgresql_causes_no_false_confirmation(
    #[values(0, 4, 7)] place: usize,
) {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    let swallow = |conn: &mut DbConnection, _| {
        let _ = conn.batch_execute("SELEC 1");
        Ok(())
    };
    let outcome = eight.run_with(place, Box::new(swallow)).await;
    let done = outcome.statuses.map(|status| i64::from(status == 200));
    assert_eq!(outcome.stored, done, "{outcome:?}");
    eight.assert_recovered().await;
}

/// The rollback removes the savepoint, so the error of RELEASE is not the job's own failure.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_savepoint_gives_the_whole_batch_503(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(eight) = Eight::create(on).await else { return };
    let outcome = eight
        .run(|conn, run| {
            if run == 1 {
                return Err(Error::NotFound);
            }
            execute(conn, "ROLLBACK")
        })
        .await;
    outcome.assert(ALL_503, [2, 2, 2, 2, 2, 0, 0, 0], Connection::ThrownAway);
    eight.assert_recovered().await;
}

/// SQLite checks a deferred foreign key at COMMIT, which then fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_commit_on_sqlite_gives_every_caller_503() {
    let Some(eight) = Eight::create(On::Sqlite).await else { return };
    let orphan = "PRAGMA defer_foreign_keys = ON;
                  INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
                  VALUES (999999, randomblob(32), 'tg_', '2020-01-01 00:00:00')";
    let outcome = eight.run(|conn, _| execute(conn, orphan)).await;
    outcome.assert(ALL_503, [1; 8], Connection::ThrownAway);
    eight.assert_recovered().await;
}

/// A job alone in its batch also gets its own error, but no second run.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_job_alone_in_its_batch_is_not_run_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(eight) = Eight::create(on).await else { return };
    let account = eight.accounts[0];
    let runs = Arc::new(AtomicUsize::new(0));
    let (counter, adjustment) = (runs.clone(), adjustment(account.id, 1));
    let job = move |conn: &mut DbConnection| {
        counter.fetch_add(1, Ordering::SeqCst);
        adjust(conn, &adjustment)?;
        Err::<(), _>(Error::NotFound)
    };
    let answer = eight.ledger.db.write(Scope::user(account.id), job).await;
    assert!(matches!(answer, Err(Error::NotFound)));
    assert_eq!((runs.load(Ordering::SeqCst), eight.ledger.balance(account.id)), (1, 0));
    eight.assert_recovered().await;
}
