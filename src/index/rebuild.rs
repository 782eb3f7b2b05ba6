//! Builds the index anew.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::follower::{Follower, Goal, Progress};
use crate::db::{Db, DbConnection};
use crate::error::{Error, Result};

/// The pause while another process, or an open transaction, is waited for.
const PAUSE: Duration = Duration::from_millis(100);
/// How long another process may make no progress.
const STANDS_STILL: Duration = Duration::from_secs(60);

/// Empties the index, and returns when it has all rows that there are now. `report` gets the
/// progress now and then. Servers may run: searches find what is indexed so far. Returns the number
/// of rows.
///
/// A server on SQLite builds the index itself, and this only looks on: two processes that write one
/// file would wait for each other.
///
/// # Errors
/// The database's error, or [`Error::Unavailable`] if the file cannot be deleted or the server does
/// not build it. What was indexed by then remains, and a server continues.
pub async fn rebuild(db: &Db, report: &mut dyn FnMut(Progress)) -> Result<i64> {
    let goal = db.read(|conn| Ok(Goal::now(conn)?)).await?;
    if db.url().is_postgres() {
        empty(db).await?;
    } else {
        db.discard_index("this was asked for").await?;
    }
    let mut follower = Follower::default();
    let (mut least, mut since) = (i64::MAX, Instant::now());
    loop {
        let rows = match step(db, &mut follower, goal).await {
            // Another process writes it, too.
            Err(error) if error.is_locked() => 0,
            outcome => {
                let (rows, done) = outcome?;
                report(done);
                if done.behind == 0 {
                    return Ok(done.all);
                }
                if done.behind < least {
                    (least, since) = (done.behind, Instant::now());
                }
                rows
            }
        };
        // On PostgreSQL, rows may wait for an open transaction.
        if rows == 0 && !db.url().is_postgres() && since.elapsed() > STANDS_STILL {
            return Err(Error::Unavailable(format!(
                "nothing was indexed for {} s: the server's log says why",
                STANDS_STILL.as_secs()
            )));
        }
        if rows == 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Indexes some rows, unless a server does that. Returns the number of rows, and how far the index
/// is.
async fn step(db: &Db, follower: &mut Follower, goal: Goal) -> Result<(usize, Progress)> {
    if db.is_served() {
        let mut reader = db.index_reader()?;
        return Ok((0, goal.progress(&mut reader)?));
    }
    let rows = follower.round(db).await?;
    Ok((rows, db.write_index(move |conn| Ok(goal.progress(conn)?)).await?))
}

/// Empties the tables of the index on PostgreSQL. Followers wait for it, and begin anew. It needs
/// each table for itself, so it tries again while queries and other transactions use them.
async fn empty(db: &Db) -> Result<()> {
    let began = Instant::now();
    loop {
        match db.write_index(|conn| Ok(truncate(conn)?)).await {
            Err(error) if error.is_locked() && began.elapsed() < STANDS_STILL => {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

fn truncate(conn: &mut DbConnection) -> QueryResult<()> {
    conn.batch_execute(
        "SELECT position FROM follower_marks ORDER BY name FOR UPDATE;
         TRUNCATE user_balances, quarter_totals, chats_to_follow, chat_search, user_search,
             reason_search, history_search;
         UPDATE follower_marks SET position = 0",
    )
}
