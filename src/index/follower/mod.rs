//! Follows users, chats and ledger entries by their ids, and keeps what the panel looks things up in: search terms,
//! balances to sort by, sums to show. A charge pays nothing for it; the panel says how far it has come.
//!
//! Every node has a follower. A part of the work and the mark of how far it has come are one transaction, and the mark
//! only moves from where the part began, so that two of them, or one that is killed, do nothing twice.

mod batches;
mod watermark;

use std::time::{Duration, Instant};

use diesel::QueryResult;

pub use batches::Sum;
use batches::{follow_chats, follow_entries, follow_late_chats, follow_users};
use watermark::Settled;

use crate::db::{BULK_ROWS, Db, DbConnection};
use crate::error::Result;
use crate::models::Mark;

/// Between two looks for something new.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two parts while many write, and how many rows those have. Left to itself, following took a quarter of the
/// chats that SQLite could do, and more on PostgreSQL; like this it falls behind under full load, and catches up
/// afterwards, and no chat waits long behind a part.
const BUSY_PAUSE: Duration = Duration::from_millis(150);
const BUSY_ROWS: i64 = 100;
/// Writes a second that are many.
const BUSY: f64 = 200.0;
/// After an error.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// A table that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    Users,
    Chats,
    LedgerEntries,
}

impl Followed {
    pub const ALL: [Followed; 3] = [Followed::Users, Followed::Chats, Followed::LedgerEntries];

    pub const fn table(self) -> &'static str {
        match self {
            Followed::Users => "users",
            Followed::Chats => "chats",
            Followed::LedgerEntries => "ledger_entries",
        }
    }
}

/// A follower with what it has seen of open transactions.
#[derive(Debug)]
pub struct Follower {
    settled: Settled,
    /// Rows of the next parts.
    rows: i64,
    /// Since when each table has had new rows that are not settled.
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
    /// Goes on for ever.
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

    /// One part of each table; answers how many rows were followed.
    pub async fn round(&mut self, db: &Db) -> Result<usize> {
        let mut rows = 0;
        for (place, followed) in Followed::ALL.into_iter().enumerate() {
            let (mark, seen) = db
                .read(move |conn| {
                    let mark = Mark::position(conn, followed.table())?;
                    Ok((mark, watermark::look(conn, followed, mark)?))
                })
                .await?;
            let up_to = self.settled.take_in(followed, seen);
            self.note(db, place, seen.highest > mark && up_to <= mark).await;
            if up_to > mark {
                rows += match followed {
                    Followed::Users => follow_users(db, mark, up_to, self.rows).await?,
                    Followed::Chats => follow_chats(db, mark, up_to, self.rows).await?,
                    Followed::LedgerEntries => follow_entries(db, mark, up_to, self.rows).await?,
                };
            }
        }
        Ok(rows + follow_late_chats(db).await?)
    }
}

/// How many ids the follower has yet to come to, at most.
pub fn lag(conn: &mut DbConnection, followed: Followed) -> QueryResult<i64> {
    let highest = watermark::highest(conn, followed)?;
    Ok((highest - Mark::position(conn, followed.table())?).max(0))
}
