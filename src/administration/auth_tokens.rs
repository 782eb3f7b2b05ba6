//! Auth tokens of users: making, renaming, ending.

use chrono::NaiveDateTime;

use super::{Action, Actor, Deed, ObjectKind};
use crate::auth::{Auth, AuthTokenRequest, MadeAuthToken};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::{AuthToken, Change};

/// Makes an auth token for a user. The answer has the plain text, for the only time.
pub async fn make_auth_token(
    auth: &Auth,
    actor: &Actor,
    user_id: i64,
    request: AuthTokenRequest,
) -> Result<MadeAuthToken> {
    let actor = actor.clone();
    auth.make_auth_token_and(user_id, request, move |conn, made| {
        let changes = [
            Change::new("name", "", made.name.as_deref().unwrap_or_default()),
            Change::new("first characters", "", &made.first_characters),
            Change::new("expires", "", shown(made.expires_at)),
        ];
        let deed = Deed { changes: &changes, ..about_auth_token(Action::Add, made.id, user_id) };
        Ok(actor.record(conn, &deed, made.created_at)?)
    })
    .await
}

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
            changes.push(Change::new("expires", shown(stored.expires_at), shown(expires_at)));
        }
        let deed = Deed { changes: &changes, ..about_auth_token(Action::Change, id, stored.user_id) };
        actor.record(conn, &deed, now)?;
        Ok(Some(true))
    };
    db.write(Scope::user(shown_as.user_id), job).await
}

/// Revokes an auth token of a user. Returns `false` if it had already ended or does not exist.
pub async fn revoke_auth_token(db: &Db, actor: &Actor, user_id: i64, id: i64) -> Result<bool> {
    let (actor, now) = (actor.clone(), clock::now());
    let job = move |conn: &mut DbConnection| revoke_and_record(conn, &actor, id, user_id, "", now);
    db.write(Scope::user(user_id), job).await
}

pub(super) fn revoke_and_record(
    conn: &mut DbConnection,
    actor: &Actor,
    id: i64,
    user_id: i64,
    note: &str,
    now: NaiveDateTime,
) -> Result<bool> {
    let Some(stored) = AuthToken::find(conn, id)? else { return Ok(false) };
    if stored.revoked_at == Some(now) {
        return Ok(true);
    }
    if !AuthToken::revoke(conn, user_id, id, now)? {
        return Ok(false);
    }
    let changes = [Change::new("revoked", "", shown(Some(now)))];
    let deed = Deed { changes: &changes, note, ..about_auth_token(Action::Revoke, id, user_id) };
    actor.record(conn, &deed, now)?;
    Ok(true)
}

/// A moment as the history keeps it; none is no text.
fn shown(time: Option<NaiveDateTime>) -> String {
    time.map_or_else(|| "never".to_owned(), clock::rfc3339)
}

/// Builds a history entry about an auth token of a user.
fn about_auth_token(action: Action, id: i64, user_id: i64) -> Deed<'static> {
    Deed { action, kind: ObjectKind::AuthToken, id, user_id: Some(user_id), changes: &[], note: "" }
}
