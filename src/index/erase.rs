//! Erases the words of deleted and anonymised rows from the files of SQLite.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::follower::finish_changes;
use super::retired::drop_retired;
use super::search::SearchIndex;
use crate::db::{Bind, Db, DbConnection, DynamicStatement, Scope};
use crate::error::Result;
use crate::models::IndexChange;

/// The number of index pages that one job rewrites.
const MERGED_PAGES: i64 = 200;

/// Erases the words of deleted and anonymised rows. SQLite's index only notes that a row is gone,
/// and keeps its words until their part is merged with another. So all parts are merged, a little
/// at a time. After an upgrade, the old index is still in the database. SQLite's statistics have
/// samples of names. PostgreSQL keeps the words until the next VACUUM.
///
/// What was erased may still be in the database's log until [`Db::empty_log`].
pub async fn erase_forgotten(db: &Db) -> Result<()> {
    if db.url().is_postgres() {
        return Ok(());
    }
    drop_retired(db).await?;
    finish_changes(db).await?;
    for index in SearchIndex::ALL {
        let mut pages = -MERGED_PAGES;
        while db.write_index(move |conn| Ok(merge(conn, index, pages)?)).await? {
            // A negative number begins a merge; a positive one continues it.
            pages = MERGED_PAGES;
        }
    }
    db.empty_index_log().await?;
    db.write_bulk(Scope::none(), |conn| Ok(forget_samples(conn)?)).await
}

/// Merges up to `pages` pages of the index. Returns whether there were any to merge.
fn merge(conn: &mut DbConnection, index: SearchIndex, pages: i64) -> QueryResult<bool> {
    let changes = |conn: &mut DbConnection| -> QueryResult<i64> {
        DynamicStatement::<BigInt>::new("SELECT total_changes()".to_owned(), Vec::new()).get_result(conn)
    };
    let before = changes(conn)?;
    let table = index.table();
    let text = format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)");
    DynamicStatement::<()>::new(text, vec![Bind::Integer(pages)]).execute(conn)?;
    // The command itself counts as one change.
    Ok(changes(conn)? - before >= 2)
}

fn forget_samples(conn: &mut DbConnection) -> QueryResult<()> {
    let text = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat4'";
    let is_there: i64 = DynamicStatement::<BigInt>::new(text.to_owned(), Vec::new()).get_result(conn)?;
    if is_there == 0 {
        return Ok(());
    }
    DynamicStatement::<()>::new("DELETE FROM sqlite_stat4".to_owned(), Vec::new()).execute(conn).map(|_| ())
}

/// Deletes changes of rows that the index has read. Returns their number.
pub async fn forget_changes(db: &Db) -> Result<usize> {
    if db.url().is_postgres() {
        return Ok(0);
    }
    db.write_in_parts(|conn, most| Ok(IndexChange::forget(conn, most)?)).await
}
