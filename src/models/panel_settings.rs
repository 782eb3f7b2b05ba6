//! `panel_settings`: each administrator's preferences for the panel.

use diesel::prelude::*;

use crate::db::{DbConnection, fixed, on_either};
use crate::schema::panel_settings::{self, dsl};

/// A row of `panel_settings`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = panel_settings)]
pub struct PanelSettings {
    /// The administrator.
    pub user_id: i64,
    /// The time zone of all times, as a name of the tz database.
    pub time_zone: String,
    /// The number of rows on a page of a list.
    pub page_size: i64,
    /// `auto`, `light` or `dark`.
    pub theme: String,
    /// Whether one key alone is a shortcut.
    pub shortcuts: bool,
}

impl PanelSettings {
    /// Returns the preferences of an administrator without a row.
    pub fn default_of(user_id: i64) -> PanelSettings {
        PanelSettings {
            user_id,
            time_zone: "UTC".to_owned(),
            page_size: 50,
            theme: "auto".to_owned(),
            shortcuts: true,
        }
    }

    /// Returns the stored preferences of an administrator, or the default.
    pub fn of(conn: &mut DbConnection, user_id: i64) -> QueryResult<PanelSettings> {
        let found = on_either!(conn => {
            fixed(dsl::panel_settings.find(user_id).select(PanelSettings::as_select())).get_result(conn)
        });
        Ok(found.optional()?.unwrap_or_else(|| PanelSettings::default_of(user_id)))
    }

    /// Whether an administrator has stored preferences.
    pub fn are_stored(conn: &mut DbConnection, user_id: i64) -> QueryResult<bool> {
        let found = dsl::panel_settings.find(user_id).select(dsl::user_id).first::<i64>(conn);
        Ok(found.optional()?.is_some())
    }

    /// Stores the preferences, in place of the old ones.
    pub fn store(&self, conn: &mut DbConnection) -> QueryResult<usize> {
        let changed = diesel::update(dsl::panel_settings.find(self.user_id)).set(self).execute(conn)?;
        if changed > 0 {
            return Ok(changed);
        }
        diesel::insert_into(dsl::panel_settings).values(self).execute(conn)
    }

    /// Deletes the preferences of an administrator.
    pub fn delete(conn: &mut DbConnection, user_id: i64) -> QueryResult<usize> {
        diesel::delete(dsl::panel_settings.find(user_id)).execute(conn)
    }
}
