//! Rows of `panel_columns`: the columns of a list that an administrator has chosen.

use std::collections::BTreeMap;

use diesel::prelude::*;

use crate::db::{DbConnection, fixed, on_either};
use crate::error::{Error, Result};
use crate::schema::panel_columns::{self, dsl};

/// A row of `panel_columns`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = panel_columns)]
pub struct PanelColumns {
    /// The administrator.
    pub user_id: i64,
    /// The path of the list.
    pub list: String,
    /// [`ColumnChoices`], as JSON.
    pub chosen: String,
}

/// Whether columns are shown, by their labels.
pub type ColumnChoices = BTreeMap<String, bool>;

/// The most choices that are kept for a list, which has fewer columns.
const MOST_CHOICES: usize = 100;

impl PanelColumns {
    /// Returns what an administrator has chosen for a list. Columns without a choice are missing.
    pub fn of(conn: &mut DbConnection, user_id: i64, list: &str) -> QueryResult<ColumnChoices> {
        let found: Option<String> = on_either!(conn => {
            let row = dsl::panel_columns.find((user_id, list)).select(dsl::chosen);
            fixed(row).get_result(conn)
        })
        .optional()?;
        Ok(found.and_then(|chosen| serde_json::from_str(&chosen).ok()).unwrap_or_default())
    }

    /// Stores the choices in place of the old ones.
    pub fn store(conn: &mut DbConnection, user_id: i64, list: &str, choices: &ColumnChoices) -> Result<()> {
        PanelColumns::delete(conn, user_id, list)?;
        if choices.is_empty() || choices.len() > MOST_CHOICES {
            return Ok(());
        }
        let chosen = serde_json::to_string(choices).map_err(|error| Error::Internal(error.to_string()))?;
        let row = PanelColumns { user_id, list: list.to_owned(), chosen };
        diesel::insert_into(dsl::panel_columns).values(&row).execute(conn)?;
        Ok(())
    }

    /// Deletes the choice for one list.
    pub fn delete(conn: &mut DbConnection, user_id: i64, list: &str) -> QueryResult<usize> {
        diesel::delete(dsl::panel_columns.find((user_id, list))).execute(conn)
    }

    /// Deletes all choices of an administrator.
    pub fn delete_all_of(conn: &mut DbConnection, user_id: i64) -> QueryResult<usize> {
        diesel::delete(dsl::panel_columns.filter(dsl::user_id.eq(user_id))).execute(conn)
    }
}
