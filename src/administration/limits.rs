//! A user's own limits, in the place of those that the settings have for everybody.

use super::edit::{Edit, Edited, Target, edit};
use crate::audit::{Action, Actor, Event};
use crate::db::{Db, Scope};
use crate::error::Result;
use crate::models::{User, UserLimits};

/// The most that a limit of a user may be.
pub const MOST_LIMIT: i64 = 1_000_000;

impl Edit for UserLimits {
    fn event(action: Action, before: &User) -> Event<'static> {
        Event::about_user(action, before.id)
    }
}

/// Sets or clears a user's limits, if the user is still as it was at `version`.
pub async fn set_limits(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    version: i64,
    wanted: UserLimits,
) -> Result<Edited<User>> {
    let target = Target { actor, id: user_id, scope: Scope::user(user_id) };
    edit(db, target, move |stored: &User| stored.version == version, move |_| wanted).await
}
