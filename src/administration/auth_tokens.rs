//! Editing the auth tokens of users.

use chrono::NaiveDateTime;

use crate::audit::{Action, Actor, Event, time_text};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::{AuthToken, Change};

/// Renames an auth token and sets when it ends, if it is still as the form showed it. `None`: there is none, or it
/// has ended. `Some(false)`: somebody else changed it.
pub async fn edit_auth_token(
    db: &Db,
    actor: &Actor,
    shown_as: AuthToken,
    name: Option<String>,
    expires_at: Option<NaiveDateTime>,
) -> Result<Option<bool>> {
    let (actor, now, id) = (actor.clone(), clock::now(), shown_as.id);
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = AuthToken::find(conn, id)?.filter(|stored| stored.revoked_at.is_none()) else {
            return Ok(None);
        };
        if stored.name == name && stored.expires_at == expires_at {
            return Ok(Some(true));
        }
        if stored.name != shown_as.name || stored.expires_at != shown_as.expires_at {
            return Ok(Some(false));
        }
        AuthToken::edit(conn, id, name.as_deref(), expires_at)?;
        let mut changes = Vec::new();
        if stored.name != name {
            let text = |name: &Option<String>| name.clone().unwrap_or_default();
            changes.push(Change::new("name", text(&stored.name), text(&name)));
        }
        if stored.expires_at != expires_at {
            changes.push(Change::new("expires", time_text(stored.expires_at), time_text(expires_at)));
        }
        let event =
            Event { changes: &changes, ..Event::about_auth_token(Action::Change, id, stored.user_id) };
        actor.record(conn, &event, now)?;
        Ok(Some(true))
    };
    db.write(Scope::user(shown_as.user_id), job).await
}
