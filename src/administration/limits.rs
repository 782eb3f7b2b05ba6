//! A user's own limits, which take the place of the defaults from the settings.

use super::edit::{By, Edit, Edited, Target, edit, edit_and_record};
use crate::audit::{Action, Actor, Event};
use crate::db::{Db, DbConnection, Scope};
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
    let target = Target { actor, id: user_id, scope: Scope::user(user_id), reason: "" };
    edit(db, target, move |stored: &User| stored.version == version, move |_| wanted).await
}

/// Sets a user's limits, whatever else has changed, in the caller's transaction.
pub(crate) fn set_limits_and_record(
    conn: &mut DbConnection,
    by: &By<'_>,
    user_id: i64,
    wanted: UserLimits,
) -> Result<Edited<User>> {
    edit_and_record(conn, by, user_id, |_: &User| true, |_| wanted)
}
