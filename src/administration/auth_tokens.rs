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

/// Changes the name and the expiry of an auth token, if it still has the values that the form
/// showed. A revoked one is [`Edited::Gone`].
pub async fn edit_auth_token(
    db: &Db,
    actor: &Actor,
    token: &AuthToken,
    shown: AuthTokenChanges,
    wanted: AuthTokenChanges,
) -> Result<Edited<AuthToken>> {
    let target = Target { actor, id: token.id, scope: Scope::user(token.user_id), reason: "" };
    // An auth token has no version, since each use updates the row. The values shown take its
    // place.
    edit(db, target, move |stored| AuthTokenChanges::of(stored) == shown, move |_| wanted.clone()).await
}
