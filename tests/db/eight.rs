//! A batch of eight jobs, one of which does something special: usually the fifth.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use tollgate::db::{DbConnection, Scope};
use tollgate::error::Result;
use tollgate::metering::adjust;

use crate::support::On;
use crate::support::ledger::{Account, Ledger, adjustment, count, run_adjustment, status};
use crate::support::writer::{HeldWriter, Queued, queue};

/// Each job gives its own user one token, and the users start with none. So a balance of 1 shows
/// that the user's job was committed exactly once.
pub struct Eight {
    pub ledger: Ledger,
    pub accounts: Vec<Account>,
    runs: Arc<[AtomicUsize; 8]>,
}

/// What the special job does after it has given its token. Its number counts the runs, from 1.
pub type Special = Box<dyn Fn(&mut DbConnection, usize) -> Result<()> + Send + Sync>;

impl Eight {
    pub async fn create(on: On) -> Option<Eight> {
        let ledger = Ledger::with_writers(on, 1)?;
        let mut accounts = Vec::new();
        for number in 1..=8 {
            accounts.push(ledger.user(&format!("user{number}"), 0).await);
        }
        Some(Eight { ledger, accounts, runs: Arc::default() })
    }

    /// Runs the eight jobs as one batch, the fifth with this at its end.
    pub async fn run(
        &self,
        fifth: impl Fn(&mut DbConnection, usize) -> Result<()> + Send + Sync + 'static,
    ) -> Outcome {
        self.run_with(4, Box::new(fifth)).await
    }

    /// Runs the eight jobs as one batch, with the special one at this place.
    pub async fn run_with(&self, place: usize, special: Special) -> Outcome {
        let held = HeldWriter::hold(&self.ledger.db);
        let mut special = Some(special);
        let queued: Vec<_> =
            (0..8).map(|number| self.job(number, special.take_if(|_| number == place))).collect();
        held.release().await;
        let answers = futures_util::future::join_all(queued).await;
        let runs = self.runs.each_ref().map(|runs| runs.swap(0, Ordering::SeqCst));
        let stored = self.stored();
        let kept_connection = self.ledger.db.write(Scope::none(), |conn| Ok(is_marked(conn))).await.unwrap();
        let statuses = std::array::from_fn(|place| status(&answers[place]));
        Outcome { statuses, runs, stored, kept_connection, answers }
    }

    fn job(&self, number: usize, special: Option<Special>) -> Queued<()> {
        let (db, runs) = (self.ledger.db.clone(), self.runs.clone());
        let adjustment = adjustment(self.accounts[number].id, 1);
        queue(async move {
            let scope = Scope::user(adjustment.user_id);
            let job = move |conn: &mut DbConnection| {
                let run = runs[number].fetch_add(1, Ordering::SeqCst) + 1;
                adjust(conn, &adjustment)?;
                let Some(special) = &special else { return Ok(()) };
                if run == 1 {
                    mark(conn);
                }
                special(conn, run)
            };
            db.write(scope, job).await
        })
    }

    pub fn stored(&self) -> [i64; 8] {
        std::array::from_fn(|place| self.ledger.balance(self.accounts[place].id))
    }

    /// Checks that the writer still works, and that the ledger is sound.
    pub async fn assert_recovered(&self) {
        let before = self.stored();
        for account in &self.accounts {
            run_adjustment(&self.ledger.db, adjustment(account.id, 1)).await.unwrap();
        }
        assert_eq!(self.stored(), before.map(|tokens| tokens + 1));
        self.ledger.assert_sound();
    }
}

/// Marks the connection in a way that survives a rollback.
fn mark(conn: &mut DbConnection) {
    let mark = match conn {
        DbConnection::Sqlite(_) => "PRAGMA cache_size = -1234",
        DbConnection::Postgres(_) => "SELECT pg_advisory_lock(1234)",
    };
    conn.batch_execute(mark).unwrap();
}

fn is_marked(conn: &mut DbConnection) -> bool {
    let query = match conn {
        DbConnection::Sqlite(_) => "SELECT cache_size = -1234 AS n FROM pragma_cache_size",
        DbConnection::Postgres(_) => {
            "SELECT count(*) AS n FROM pg_locks
             WHERE locktype = 'advisory' AND objid = 1234 AND pid = pg_backend_pid()"
        }
    };
    count(conn, query) == 1
}

/// The outcome of a batch.
#[derive(Debug)]
pub struct Outcome {
    /// The status that each caller got.
    pub statuses: [u16; 8],
    /// How many times each job ran.
    pub runs: [usize; 8],
    pub stored: [i64; 8],
    /// Whether the writer still has the connection of the first run.
    pub kept_connection: bool,
    pub answers: Vec<Result<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Kept,
    ThrownAway,
}

impl Outcome {
    /// Checks the outcome, and that exactly the jobs with a 200 are stored. The connection is kept
    /// only after a job's own failure: otherwise its state is unknown.
    #[track_caller]
    pub fn assert(&self, statuses: [u16; 8], runs: [usize; 8], connection: Connection) {
        assert_eq!((self.statuses, self.runs), (statuses, runs), "statuses and runs: {:?}", self.answers);
        let done = statuses.map(|status| i64::from(status == 200));
        assert_eq!(self.stored, done, "exactly the jobs with a 200 are stored");
        assert_eq!(self.kept_connection, connection == Connection::Kept, "whether the connection was kept");
    }
}
