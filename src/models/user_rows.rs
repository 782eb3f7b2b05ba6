//! The chats and ledger entries of one user.
//!
//! On PostgreSQL an index of the table has them. On SQLite the index database has the keys of all
//! rows up to its watermark, and the rows behind that are read one by one. Two views,
//! `user_chats` and `user_entries`, put both together (`db/index/file.rs`), so that what was
//! confirmed a moment ago is always there.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::Keyset;
use super::list::{Condition, Keys, ListQuery};
use crate::db::{Bind, DbConnection, DynamicStatement};
use crate::error::{Error, Result};

/// The most rows behind the index that are read one by one. While there are more, the index is
/// being built.
pub const MOST_BEHIND: i64 = 50_000;

/// A table of which each user has a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRows {
    /// Chats.
    Chats,
    /// Ledger entries.
    LedgerEntries,
}

impl UserRows {
    /// Returns the table.
    pub const fn table(self) -> &'static str {
        match self {
            UserRows::Chats => "chats",
            UserRows::LedgerEntries => "ledger_entries",
        }
    }

    /// Returns the name of the follower's mark.
    pub const fn mark(self) -> &'static str {
        match self {
            UserRows::Chats => "chat_keys",
            UserRows::LedgerEntries => "entry_keys",
        }
    }

    /// Returns what has the columns `user_id` and `id` of all rows: a view, or the table itself.
    pub fn keys(self, conn: &DbConnection) -> &'static str {
        match (self, conn) {
            (_, DbConnection::Postgres(_)) => self.table(),
            (UserRows::Chats, DbConnection::Sqlite(_)) => "user_chats",
            (UserRows::LedgerEntries, DbConnection::Sqlite(_)) => "user_entries",
        }
    }

    /// Returns the highest id of the table; 0 if it is empty.
    pub fn highest(self, conn: &mut DbConnection) -> QueryResult<i64> {
        let text = format!("SELECT coalesce(max(id), 0) FROM {}", self.table());
        DynamicStatement::<BigInt>::new(text, Vec::new()).get_result(conn)
    }

    /// Adds the keys of the rows after `from` up to `to` to the index. Only on SQLite.
    pub fn add(self, conn: &mut DbConnection, from: i64, to: i64) -> QueryResult<usize> {
        let text = match self {
            UserRows::Chats => {
                "INSERT INTO chat_keys (user_id, is_listed, id)
                 SELECT user_id, is_listed, id FROM chats WHERE id > ? AND id <= ? ORDER BY 1, 2, 3"
            }
            UserRows::LedgerEntries => {
                "INSERT INTO entry_keys (user_id, id)
                 SELECT user_id, id FROM ledger_entries WHERE id > ? AND id <= ? ORDER BY 1, 2"
            }
        };
        let binds = vec![Bind::Integer(from), Bind::Integer(to)];
        DynamicStatement::<()>::new(text.to_owned(), binds).execute(conn)
    }

    /// Checks that the rows of one user can be found in a short time.
    ///
    /// # Errors
    /// [`Error::IndexBehind`] while the index is being built: a part of the rows must not be taken
    /// for all of them.
    pub fn check(self, conn: &mut DbConnection) -> Result<()> {
        let behind = self.behind(conn)?;
        if behind <= MOST_BEHIND { Ok(()) } else { Err(Error::IndexBehind(behind)) }
    }

    /// Returns how many ids the keys are behind: always 0 on PostgreSQL, where the table has them.
    pub fn behind(self, conn: &mut DbConnection) -> QueryResult<i64> {
        if matches!(conn, DbConnection::Postgres(_)) {
            return Ok(0);
        }
        let text = format!(
            "SELECT coalesce((SELECT max(id) FROM {}), 0)
                    - (SELECT position FROM follower_marks WHERE name = ?)",
            self.table()
        );
        let binds = vec![Bind::Text(self.mark())];
        DynamicStatement::<BigInt>::new(text, binds).get_result(conn)
    }

    /// Returns the ids of a page of a user's rows, the newest first. Chats that no list shows are
    /// left out.
    ///
    /// # Errors
    /// As for [`UserRows::check`].
    pub fn page(self, conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Vec<i64>> {
        self.check(conn)?;
        let listed = if self == UserRows::Chats { " AND is_listed = TRUE" } else { "" };
        let text = format!(
            "SELECT id FROM {} WHERE user_id = ?{listed} AND id < ? ORDER BY id DESC LIMIT ?",
            self.keys(conn)
        );
        let binds = vec![
            Bind::Integer(user_id),
            Bind::Integer(page.before.unwrap_or(i64::MAX)),
            Bind::Integer(page.limit),
        ];
        Ok(DynamicStatement::<BigInt>::new(text, binds).load(conn)?)
    }

    /// Checks that rows that were found by a user's keys are all of them, and this user's.
    /// `owners` are the users of the rows.
    ///
    /// # Errors
    /// [`Error::IndexWrong`] if the keys are not those of this database.
    pub fn check_found(ids: &[i64], user_id: i64, owners: impl IntoIterator<Item = i64>) -> Result<()> {
        let mut found = 0;
        for owner in owners {
            if owner != user_id {
                return Err(Error::IndexWrong);
            }
            found += 1;
        }
        if found == ids.len() { Ok(()) } else { Err(Error::IndexWrong) }
    }

    /// Lets a list walk along the keys of one user's rows, if a condition on the user leads. While
    /// the index is being built, the condition is tested on the rows of all users instead, as many
    /// as a page may examine.
    pub fn narrow(self, conn: &mut DbConnection, query: &mut ListQuery) -> Result<()> {
        let column = format!("{}.user_id", self.table());
        let is_leading = |condition: &Condition| condition.leads && condition.sql.contains(&column);
        if matches!(conn, DbConnection::Postgres(_)) || !query.conditions.iter().any(is_leading) {
            return Ok(());
        }
        match self.check(conn) {
            Err(Error::IndexBehind(_)) => {
                for condition in query.conditions.iter_mut().filter(|condition| is_leading(condition)) {
                    condition.leads = false;
                }
                return Ok(());
            }
            outcome => outcome?,
        }
        (query.keys, query.id) = match self {
            UserRows::Chats => {
                (Some(Keys { view: "user_chats", columns: &["user_id", "is_listed"] }), "user_chats.id")
            }
            UserRows::LedgerEntries => {
                (Some(Keys { view: "user_entries", columns: &["user_id"] }), "user_entries.id")
            }
        };
        Ok(())
    }
}
