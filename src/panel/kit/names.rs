//! Rows with the names of the users that they mention, read by one query for a whole page.

use std::collections::HashMap;
use std::sync::Arc;

use super::list::Cell;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::User;

/// A row, and the names of all users that its page mentions.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Named<T> {
    pub row: T,
    names: Arc<HashMap<i64, String>>,
}

impl<T> Named<T> {
    /// Adds names to rows. `mentions` returns the ids of the users that a row mentions.
    pub(crate) fn all(
        conn: &mut DbConnection,
        rows: Vec<T>,
        mentions: fn(&T) -> [Option<i64>; 2],
    ) -> Result<Vec<Named<T>>> {
        let mut ids: Vec<i64> = rows.iter().flat_map(mentions).flatten().collect();
        ids.sort_unstable();
        ids.dedup();
        let names = Arc::new(User::names_of(conn, ids)?);
        Ok(rows.into_iter().map(|row| Named { row, names: names.clone() }).collect())
    }

    /// Returns a user's name, as a link to the user.
    pub(crate) fn user(&self, id: i64) -> Cell {
        Cell::user(id, self.names.get(&id))
    }

    /// Returns the name of an actor. `None` is the server itself or its command line.
    pub(crate) fn actor(&self, id: Option<i64>) -> Cell {
        id.map_or_else(|| Cell::Text("the server".to_owned()), |id| self.user(id))
    }
}
