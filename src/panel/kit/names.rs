//! Rows with the names of the users that they mention, read by one query for a whole page.

use std::collections::HashMap;
use std::sync::Arc;

use super::list::Cell;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::User;

/// The characters that are written from right to left begin here.
const FIRST_HEBREW: char = '\u{590}';

/// Returns the title of a page about one thing: what the page is for, and the thing's name. In a
/// title nothing but characters can keep a name from turning the text around it.
pub(in crate::panel) fn titled(what: &str, name: &str) -> String {
    if name.chars().all(|character| character < FIRST_HEBREW) {
        format!("{what} · {name}")
    } else {
        format!("{what} · \u{2068}{name}\u{2069}")
    }
}

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

#[cfg(test)]
mod tests {
    use super::titled;

    #[test]
    fn a_title_names_its_thing_and_isolates_it_where_that_matters() {
        assert_eq!(titled("Limits", "ada"), "Limits · ada");
        assert_eq!(
            titled("Limits", "\u{5D3}\u{5D5}\u{5D3}"),
            "Limits · \u{2068}\u{5D3}\u{5D5}\u{5D3}\u{2069}"
        );
    }
}
