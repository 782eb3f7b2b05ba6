//! A projection: follows users, chats, ledger entries and the history by their ids, and maintains
//! what the panel looks things up in: search terms, balances to sort by, sums to show. Charges do
//! no work for it, and the panel shows how far behind it is.
//!
//! Every node has a follower. A batch and the watermark (how far the follower has got) are written
//! in one transaction, and the watermark only moves from where the batch began. So two followers,
//! or one that is killed, do nothing twice.

mod batches;
mod watermark;

use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::connection::SimpleConnection;

pub use batches::Sum;
use batches::{
    follow_changes, follow_chats, follow_entries, follow_history, follow_keys, follow_late_chats,
    follow_users,
};
use watermark::Settled;

use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::{MOST_BEHIND, ToFollow, UserRows, Watermark};

/// The pause before the tables are read again when there was not a whole batch. So there are few
/// batches, and what is new is in the index within a second.
const PAUSE: Duration = Duration::from_millis(500);
/// The most rows of a batch, and of the first one.
const ROWS: i64 = 2_000;
/// The most rows of a batch on SQLite while it has much to catch up with: each transaction adds a
/// segment to the search tables, and segments are merged again and again.
const MOST_ROWS: i64 = 16_000;
/// The most ids of a table whose keys are added at once, at first and while there is much to catch
/// up with. The keys of one user are together, so each batch writes most pages of a large index
/// again: the fewer batches, the better.
const KEYS: i64 = 20_000;
const MOST_KEYS: i64 = 500_000;
/// How many times as many ledger entries as chats are read at once. Few have a text, but each has
/// a balance, and those of a batch are spread over many pages.
const ENTRIES: i64 = 4;
/// While a round takes less than half of this, the next one may be larger.
const LONG_ROUND: Duration = Duration::from_secs(2);
/// The KiB of pages that SQLite keeps in memory for the index.
const CACHE: i64 = 2_000;
/// The same while large batches are written: pages that do not fit are written twice.
const LARGE_CACHE: i64 = 48_000;
/// The most rows of a batch on PostgreSQL while there are many writes. Each batch takes a core from
/// the charges, so it is short, and a pause of the same length follows.
const BUSY_ROWS: i64 = 200;
/// The most rows of a batch after several failures.
const FEWEST_ROWS: i64 = 10;
/// More writes per second than this are many.
const BUSY: f64 = 200.0;
/// The pause after an error.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// The number of tables that are followed.
const FOLLOWED: usize = 4;

/// A table that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// For the search terms of names.
    Users,
    /// For the search terms of texts, and the sums of chats.
    Chats,
    /// For the balances to sort by, the sums of entries, and the search terms of reasons.
    LedgerEntries,
    /// For the search terms of the history.
    History,
}

impl Followed {
    /// All followed tables.
    pub const ALL: [Followed; FOLLOWED] =
        [Followed::Users, Followed::Chats, Followed::LedgerEntries, Followed::History];

    /// The name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Followed::Users => "users",
            Followed::Chats => "chats",
            Followed::LedgerEntries => "ledger_entries",
            Followed::History => "audit_log",
        }
    }

    /// The keys that the index has of each row, on SQLite.
    const fn keys(self) -> Option<UserRows> {
        match self {
            Followed::Users | Followed::History => None,
            Followed::Chats => Some(UserRows::Chats),
            Followed::LedgerEntries => Some(UserRows::LedgerEntries),
        }
    }
}

/// A batch of one table: from a watermark up to an id, at most so many rows. Returns their number.
type Batch = fn(&mut DbConnection, i64, i64, i64) -> Result<usize>;

/// A follower, and what it knows of open transactions.
#[derive(Debug)]
pub struct Follower {
    settled: Settled,
    /// The most rows of the next batches.
    rows: i64,
    /// The most ids of the next batches of keys.
    keys: i64,
    /// The KiB of pages that SQLite was told to keep in memory.
    cache: i64,
    /// When each table first had new rows that are not settled. `None` if all are settled.
    held_up: [Option<Instant>; FOLLOWED],
}

/// A round that takes longer than this is logged.
const SLOW: Duration = Duration::from_secs(60);

/// How long an open transaction may hold up the follower before the log names it.
const HELD_UP: Duration = Duration::from_secs(60);

impl Default for Follower {
    fn default() -> Follower {
        Follower {
            settled: Settled::default(),
            rows: ROWS,
            keys: KEYS,
            cache: CACHE,
            held_up: [None; FOLLOWED],
        }
    }
}

impl Follower {
    /// Runs for ever. Errors are logged, and the batch is tried again.
    pub async fn run(mut self, db: &Db) {
        let (mut since, mut writes) = (Instant::now(), db.writes_so_far());
        let mut failure = String::new();
        loop {
            let (began, tried) = (Instant::now(), self.rows);
            let round = self.round(db).await;
            if began.elapsed() > SLOW {
                log::warn!("the index took {} s for one round", began.elapsed().as_secs());
            }
            let rate =
                db.writes_so_far().saturating_sub(writes) as f64 / since.elapsed().as_secs_f64().max(0.001);
            (since, writes) = (Instant::now(), db.writes_so_far());
            // On SQLite, the index's thread has a low priority.
            let is_busy = rate > BUSY && db.url().is_postgres();
            let was_full = round.as_ref().is_ok_and(|rows| is_full(*rows, tried));
            if db.url().is_postgres() {
                self.rows = if is_busy { BUSY_ROWS } else { ROWS };
            }
            let pause = match round {
                Ok(_) if !was_full => PAUSE,
                Ok(_) if is_busy => began.elapsed(),
                Ok(_) => Duration::ZERO,
                // Another process writes the index.
                Err(error) if error.is_locked() => PAUSE,
                Err(error) => {
                    // The batch may have been too much for the time limit of a statement.
                    self.rows = (tried / 4).max(FEWEST_ROWS);
                    self.keys = KEYS;
                    let why = error.in_full();
                    if why != failure {
                        log::warn!("the panel's lists and searches fall behind: {why}");
                        failure = why;
                    }
                    LONG_PAUSE
                }
            };
            if pause < LONG_PAUSE {
                failure.clear();
            }
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

    /// Processes one batch of each table, or only keys while many are missing. Returns the number
    /// of rows processed.
    ///
    /// # Errors
    /// The database's error. Batches that are already stored remain.
    pub async fn round(&mut self, db: &Db) -> Result<usize> {
        if db.url().is_postgres() {
            return self.batches(db, self.rows).await;
        }
        // The changes come first: words that were removed disappear soon.
        let mut rows = changes(db, self.rows).await?;
        // Then the keys: without them, users cannot see their own history.
        let keys = self.add_keys(db).await?;
        rows += usize::try_from(keys).unwrap_or_default();
        if keys < KEYS {
            let (most, began) = (self.rows, Instant::now());
            let batches = self.batches(db, most).await?;
            self.rows = size_after(most, [ROWS, MOST_ROWS], is_full(batches, most), began.elapsed());
            rows += batches;
        }
        self.resize_cache(db).await?;
        Ok(rows)
    }

    /// Adds one batch of keys of each table. Returns the most ids of one table.
    async fn add_keys(&mut self, db: &Db) -> Result<i64> {
        let (most, began, mut count) = (self.keys, Instant::now(), 0);
        for keys in [UserRows::Chats, UserRows::LedgerEntries] {
            count = count.max(db.write_index(move |conn| follow_keys(conn, keys, most)).await?);
        }
        self.keys = size_after(most, [KEYS, MOST_KEYS], count >= most, began.elapsed());
        Ok(count)
    }

    /// Gives SQLite the memory that batches of this size need.
    async fn resize_cache(&mut self, db: &Db) -> Result<()> {
        let cache = if self.rows > ROWS || self.keys > KEYS { LARGE_CACHE } else { CACHE };
        if cache != self.cache {
            self.cache = cache;
            let text = format!("PRAGMA main.cache_size = -{cache}; PRAGMA shrink_memory");
            db.write_index(move |conn| Ok(conn.batch_execute(&text)?)).await?;
        }
        Ok(())
    }

    async fn batches(&mut self, db: &Db, most: i64) -> Result<usize> {
        let mut rows = 0;
        for (place, followed) in Followed::ALL.into_iter().enumerate() {
            let (watermark, reading) = db
                .write_index(move |conn| {
                    let watermark = Watermark::position(conn, followed.table())?;
                    Ok((watermark, watermark::read(conn, followed, watermark)?))
                })
                .await?;
            let up_to = self.settled.observe(followed, reading);
            self.note(db, place, reading.highest > watermark && up_to <= watermark).await;
            if up_to > watermark {
                let (batch, most): (Batch, i64) = match followed {
                    Followed::Users => (follow_users, most),
                    Followed::Chats => (follow_chats, most),
                    Followed::LedgerEntries if most > ROWS => (follow_entries, ENTRIES * most),
                    Followed::LedgerEntries => (follow_entries, most),
                    Followed::History => (follow_history, most),
                };
                rows += db.write_index(move |conn| batch(conn, watermark, up_to, most)).await?;
            }
        }
        let ended = db.write_index(move |conn| Ok(ToFollow::ended(conn, most)?)).await?;
        if !ended.is_empty() {
            rows += db.write_index(move |conn| follow_late_chats(conn, &ended)).await?;
        }
        Ok(rows)
    }
}

/// Returns the size of the next batches on SQLite, within these bounds, after batches of size
/// `most`. `is_full` says whether there was at least one whole batch.
fn size_after(most: i64, [least, largest]: [i64; 2], is_full: bool, took: Duration) -> i64 {
    match most {
        _ if !is_full => least,
        _ if took > LONG_ROUND => (most / 2).max(least),
        _ if took < LONG_ROUND / 2 => (most * 2).min(largest),
        _ => most,
    }
}

/// Returns whether so many rows are at least one whole batch.
fn is_full(rows: usize, most: i64) -> bool {
    rows >= usize::try_from(most).unwrap_or(0)
}

/// Indexes all changes of rows that are already in the index. (On PostgreSQL there are none: each
/// change has done that itself.)
pub async fn finish_changes(db: &Db) -> Result<()> {
    if db.url().is_postgres() {
        return Ok(());
    }
    while changes(db, ROWS).await? > 0 {}
    Ok(())
}

/// Indexes the next changes, at most `most`. Returns their number.
async fn changes(db: &Db, most: i64) -> Result<usize> {
    match db.write_index(move |conn| follow_changes(conn, most)).await? {
        Some(count) => Ok(count),
        None => {
            db.discard_index("changes were deleted that it has not read").await?;
            Ok(0)
        }
    }
}

/// Returns how many ids the follower is behind, at most: some ids may not exist.
pub fn lag(conn: &mut DbConnection, followed: Followed) -> QueryResult<i64> {
    let highest = watermark::highest(conn, followed)?;
    Ok((highest - Watermark::position(conn, followed.table())?).max(0))
}

/// How far the follower is with all tables, in ids. Some ids may not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The ids that it has not read.
    pub behind: i64,
    /// All ids.
    pub all: i64,
}

impl Progress {
    /// Returns whether the follower is so far behind that the index is being built, rather than
    /// catching up.
    pub fn is_being_built(self) -> bool {
        self.behind > MOST_BEHIND
    }

    /// Returns how much is done, in per cent. 100 only if all of it is.
    pub fn percent(self) -> i64 {
        match (self.behind, self.all) {
            (0, _) | (_, 0) => 100,
            (behind, all) => ((all - behind) * 100 / all).clamp(0, 99),
        }
    }
}

/// The rows of all tables at a moment, by the highest id of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal([i64; FOLLOWED]);

impl Goal {
    /// Returns the rows that there are now.
    pub(super) fn now(conn: &mut DbConnection) -> QueryResult<Goal> {
        let mut goal = Goal([0; FOLLOWED]);
        for (highest, followed) in goal.0.iter_mut().zip(Followed::ALL) {
            *highest = watermark::highest(conn, followed)?;
        }
        Ok(goal)
    }

    /// Returns how far the follower is with these rows.
    pub(super) fn progress(&self, conn: &mut DbConnection) -> QueryResult<Progress> {
        let mut progress = Progress::default();
        for (highest, followed) in self.0.into_iter().zip(Followed::ALL) {
            let mut behind = (highest - Watermark::position(conn, followed.table())?).max(0);
            if let (DbConnection::Sqlite(_), Some(keys)) = (&*conn, followed.keys()) {
                let keys = (highest - Watermark::position(conn, keys.mark())?).max(0);
                // Each is half of the work, and there is no more to do only without both.
                behind = (behind + keys + 1) / 2;
            }
            progress.behind += behind;
            progress.all += highest;
        }
        Ok(progress)
    }
}

/// Returns how far the follower is with all tables.
pub fn progress(conn: &mut DbConnection) -> QueryResult<Progress> {
    let mut progress = Progress::default();
    for followed in Followed::ALL {
        progress.behind += lag(conn, followed)?;
        progress.all += watermark::highest(conn, followed)?;
    }
    Ok(progress)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MOST_ROWS, ROWS, size_after};

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_not() {
        let after = |most, is_full, seconds| {
            size_after(most, [ROWS, MOST_ROWS], is_full, Duration::from_secs(seconds))
        };
        assert_eq!(after(ROWS, true, 0), 2 * ROWS);
        assert_eq!(after(MOST_ROWS, true, 0), MOST_ROWS);
        assert_eq!(after(4 * ROWS, true, 1), 4 * ROWS);
        assert_eq!(after(4 * ROWS, true, 3), 2 * ROWS);
        assert_eq!(after(ROWS, true, 60), ROWS);
        assert_eq!(after(MOST_ROWS, false, 0), ROWS, "it has caught up");
    }
}
