//! What is read from the database for a scrape: seldom, and never for long, however many scrapes
//! there are.

use std::time::{Duration, Instant};

use diesel::QueryResult;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock;
use crate::db::{Db, DbConnection, clock_of};
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::models::list::MOST_COUNTED;
use crate::models::{Chat, OpenHolds};

/// How long a reading is used.
const FRESH: Duration = Duration::from_secs(5);
/// When a reading that has failed is tried again: the database has other worries.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// The longest time that a scrape waits for a reading.
const PATIENCE: Duration = Duration::from_secs(2);

/// The latest reading. A scrape that comes while another one reads waits for its result.
#[derive(Default)]
pub(super) struct Observations(Mutex<Option<Observed>>);

/// A reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    /// When it was made.
    pub at: Instant,
    /// `None` if the database could not be read in time.
    pub found: Option<Found>,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The pending chats, counted up to a limit.
    pub holds: OpenHolds,
    /// The age of the oldest of them, by the clock that has written its time.
    pub oldest_age: Duration,
    /// Those past their deadline.
    pub overdue: i64,
    /// How many ids the index is behind, for each table. `None` if there is no index.
    pub lag: Option<[i64; Followed::ALL.len()]>,
}

impl Observed {
    fn is_fresh(&self) -> bool {
        let limit = if self.found.is_some() { FRESH } else { AFTER_FAILURE };
        self.at.elapsed() < limit
    }
}

impl Observations {
    /// Returns the latest reading, or a new one.
    pub(super) async fn latest(&self, db: &Db) -> Observed {
        let mut latest = self.0.lock().await;
        if let Some(observed) = latest.filter(Observed::is_fresh) {
            return observed;
        }
        let found = timeout(PATIENCE, db.read(read)).await;
        let observed = Observed { at: Instant::now(), found: found.ok().and_then(Result::ok) };
        *latest = Some(observed);
        observed
    }
}

fn read(conn: &mut DbConnection) -> Result<Found> {
    let now = clock_of(conn)?.unwrap_or_else(clock::now);
    let holds = Chat::open_holds(conn)?;
    let age = holds.oldest.and_then(|oldest| (now - oldest).to_std().ok());
    let overdue = Chat::overdue(conn, now, MOST_COUNTED + 1)?;
    Ok(Found { holds, oldest_age: age.unwrap_or_default(), overdue, lag: lags(conn).ok() })
}

fn lags(conn: &mut DbConnection) -> QueryResult<[i64; Followed::ALL.len()]> {
    let mut lags = [0; Followed::ALL.len()];
    for (behind, followed) in lags.iter_mut().zip(Followed::ALL) {
        *behind = lag(conn, followed)?;
    }
    Ok(lags)
}
