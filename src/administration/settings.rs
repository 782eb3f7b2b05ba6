//! An administrator's settings of the panel: preferences, columns and saved views. They change
//! nothing for users, so the audit log does not record them.

use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::{NewSavedView, PanelColumns, PanelSettings, SavedView};

/// Stores the settings of an administrator.
pub async fn store_settings(db: &Db, settings: PanelSettings) -> Result<()> {
    let scope = Scope::user(settings.user_id);
    let job = move |conn: &mut DbConnection| Ok(settings.store(conn).map(|_| ())?);
    db.write(scope, job).await
}

/// Stores a time zone for an administrator who has stored no settings yet. Returns whether it did.
pub async fn adopt_time_zone(db: &Db, user_id: i64, time_zone: &str) -> Result<bool> {
    if db.read_few(move |conn| Ok(PanelSettings::are_stored(conn, user_id)?)).await? {
        return Ok(false);
    }
    let settings = PanelSettings { time_zone: time_zone.to_owned(), ..PanelSettings::default_of(user_id) };
    let job = move |conn: &mut DbConnection| {
        let is_new = !PanelSettings::are_stored(conn, user_id)?;
        if is_new {
            settings.store(conn)?;
        }
        Ok(is_new)
    };
    db.write(Scope::user(user_id), job).await
}

/// Stores the theme of an administrator, and leaves the other settings as they are.
pub async fn store_theme(db: &Db, user_id: i64, theme: String) -> Result<()> {
    let job = move |conn: &mut DbConnection| {
        let settings = PanelSettings::of(conn, user_id)?;
        Ok(PanelSettings { theme: theme.clone(), ..settings }.store(conn).map(|_| ())?)
    };
    db.write(Scope::user(user_id), job).await
}

/// Stores which columns of a list an administrator has added to those that the list showed
/// `before`, and which ones were removed. All others still appear when they say something.
pub async fn store_columns(
    db: &Db,
    user_id: i64,
    list: &str,
    before: Vec<String>,
    now: Vec<String>,
) -> Result<()> {
    let list = list.to_owned();
    let job = move |conn: &mut DbConnection| {
        let mut choices = PanelColumns::of(conn, user_id, &list)?;
        let is_in = |labels: &[String], label: &String| labels.contains(label);
        let added = now.iter().filter(|label| !is_in(&before, label)).map(|label| (label, true));
        let removed = before.iter().filter(|label| !is_in(&now, label)).map(|label| (label, false));
        for (label, is_shown) in added.chain(removed) {
            choices.insert(label.clone(), is_shown);
        }
        PanelColumns::store(conn, user_id, &list, &choices)
    };
    db.write(Scope::user(user_id), job).await
}

/// Forgets which columns of a list an administrator has chosen.
pub async fn reset_columns(db: &Db, user_id: i64, list: &str) -> Result<()> {
    let list = list.to_owned();
    let job = move |conn: &mut DbConnection| Ok(PanelColumns::delete(conn, user_id, &list).map(|_| ())?);
    db.write(Scope::user(user_id), job).await
}

/// Saves a view. Returns `false` if the administrator has too many.
pub async fn save_view(db: &Db, view: NewSavedView) -> Result<bool> {
    db.write(Scope::user(view.user_id), move |conn| Ok(view.store(conn)?)).await
}

/// Deletes a view of an administrator, or if `any_shared`, one that another administrator shares.
/// Returns `false` if there is no such view.
pub async fn delete_view(db: &Db, user_id: i64, any_shared: bool, id: i64) -> Result<bool> {
    db.write(Scope::user(user_id), move |conn| Ok(SavedView::delete(conn, user_id, any_shared, id)?)).await
}
