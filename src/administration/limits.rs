//! A user's own limits, which take the place of the defaults from the settings.

use super::edit::{Edit, Edited, Target, edit};
use crate::audit::{Action, Actor, Event};
use crate::db::{Db, Scope};
use crate::error::Result;
use crate::models::{User, UserLimits};

/// The highest limit that a user may have.
pub const MOST_LIMIT: i64 = 1_000_000;

impl Edit for UserLimits {
    fn event(action: Action, before: &User) -> Event<'static> {
        Event::about_user(action, before.id)
    }
}

/// Sets or clears a user's limits, if the user still has the `version` that the form showed.
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
