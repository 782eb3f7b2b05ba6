//! Editing the auth tokens of users.

use super::edit::{Edit, Edited, Target, edit};
use crate::audit::{Action, Actor, Event};
use crate::db::{Db, Scope};
use crate::error::Result;
use crate::models::{AuthToken, AuthTokenChanges, Editable};

impl Edit for AuthTokenChanges {
    fn event(action: Action, before: &AuthToken) -> Event<'static> {
        Event::about_auth_token(action, before.id, before.user_id)
    }
}

/// Renames an auth token and sets when it ends, if it still has the values that the form showed. One that was
/// revoked is gone.
pub async fn edit_auth_token(
    db: &Db,
    actor: &Actor,
    token: &AuthToken,
    shown: AuthTokenChanges,
    wanted: AuthTokenChanges,
) -> Result<Edited<AuthToken>> {
    let target = Target { actor, id: token.id, scope: Scope::user(token.user_id) };
    // There is no version: uses are written down all the time, and an edit has only these values to lose.
    edit(db, target, move |stored| AuthTokenChanges::of(stored) == shown, move |_| wanted.clone()).await
}
