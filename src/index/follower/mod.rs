//! A projection: follows users, chats and ledger entries by their ids, and maintains what the panel
//! looks things up in: search terms, balances to sort by, sums to show. Charges do no work for it,
//! and the panel shows how far behind it is.
//!
//! Every node has a follower. A batch and the watermark (how far the follower has got) are written
//! in one transaction, and the watermark only moves from where the batch began. So two followers,
//! or one that is killed, do nothing twice.

mod batches;
mod watermark;

use std::time::{Duration, Instant};

use diesel::QueryResult;

pub use batches::Sum;
use batches::{follow_chats, follow_entries, follow_late_chats, follow_users};
use watermark::Settled;

use crate::db::{BULK_ROWS, Db, DbConnection};
use crate::error::Result;
use crate::models::Watermark;

/// The pause before the tables are read again when there was nothing new.
const PAUSE: Duration = Duration::from_millis(500);
/// The pause between two batches while there are many writes. At full speed, the follower
/// reduced the chats per second by a quarter on SQLite, and by more on PostgreSQL. With these
/// pauses it falls behind under full load and catches up afterwards, and no chat waits long behind
/// a batch.
const BUSY_PAUSE: Duration = Duration::from_millis(150);
/// The most rows of a batch while there are many writes.
const BUSY_ROWS: i64 = 100;
/// More writes per second than this are many.
const BUSY: f64 = 200.0;
/// The pause after an error.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// A table that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// For the search terms of names.
    Users,
    /// For the search terms of texts, and the sums of chats.
    Chats,
    /// For the balances to sort by, and the sums of entries.
    LedgerEntries,
}

impl Followed {
    /// All followed tables.
    pub const ALL: [Followed; 3] = [Followed::Users, Followed::Chats, Followed::LedgerEntries];

    /// The name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Followed::Users => "users",
            Followed::Chats => "chats",
            Followed::LedgerEntries => "ledger_entries",
        }
    }
}

/// A follower, and what it knows of open transactions.
#[derive(Debug)]
pub struct Follower {
    settled: Settled,
    /// The most rows of the next batches.
    rows: i64,
    /// When each table first had new rows that are not settled. `None` if all are settled.
    held_up: [Option<Instant>; 3],
}

/// How long an open transaction may hold up the follower before the log names it.
const HELD_UP: Duration = Duration::from_secs(60);

impl Default for Follower {
    fn default() -> Follower {
        Follower { settled: Settled::default(), rows: BULK_ROWS, held_up: [None; 3] }
    }
}

impl Follower {
    /// Runs for ever. Errors are logged, and the batch is tried again.
    pub async fn run(mut self, db: &Db) {
        let (mut since, mut writes) = (Instant::now(), db.writes_so_far());
        loop {
            let round = self.round(db).await;
            let rate =
                db.writes_so_far().saturating_sub(writes) as f64 / since.elapsed().as_secs_f64().max(0.001);
            (since, writes) = (Instant::now(), db.writes_so_far());
            let is_busy = rate > BUSY;
            self.rows = if is_busy { BUSY_ROWS } else { BULK_ROWS };
            let pause = match round {
                Ok(0) => PAUSE,
                Ok(_) if is_busy => BUSY_PAUSE,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    log::warn!("the panel's lists and searches fall behind: {error}");
                    LONG_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Warns once a minute while new rows are not settled.
    async fn note(&mut self, db: &Db, place: usize, is_held_up: bool) {
        let Some(since) = self.held_up.get_mut(place) else { return };
        if !is_held_up {
            *since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= HELD_UP {
            *since = Some(Instant::now());
            let who = db.read(|conn| Ok(watermark::oldest(conn)?)).await.ok().flatten();
            log::warn!(
                "the panel's lists and searches wait for an open transaction of {}: end it",
                who.as_deref().unwrap_or("somebody")
            );
        }
    }

    /// Processes one batch of each table. Returns the number of rows processed.
    pub async fn round(&mut self, db: &Db) -> Result<usize> {
        let mut rows = 0;
        for (place, followed) in Followed::ALL.into_iter().enumerate() {
            let (watermark, reading) = db
                .read(move |conn| {
                    let watermark = Watermark::position(conn, followed.table())?;
                    Ok((watermark, watermark::read(conn, followed, watermark)?))
                })
                .await?;
            let up_to = self.settled.observe(followed, reading);
            self.note(db, place, reading.highest > watermark && up_to <= watermark).await;
            if up_to > watermark {
                rows += match followed {
                    Followed::Users => follow_users(db, watermark, up_to, self.rows).await?,
                    Followed::Chats => follow_chats(db, watermark, up_to, self.rows).await?,
                    Followed::LedgerEntries => follow_entries(db, watermark, up_to, self.rows).await?,
                };
            }
        }
        Ok(rows + follow_late_chats(db).await?)
    }
}

/// Returns how many ids the follower is behind, at most: some ids may not exist.
pub fn lag(conn: &mut DbConnection, followed: Followed) -> QueryResult<i64> {
    let highest = watermark::highest(conn, followed)?;
    Ok((highest - Watermark::position(conn, followed.table())?).max(0))
}
