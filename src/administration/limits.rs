//! A user's own limits, in the place of those that the settings have for everybody.

use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::{Change, User, UserLimits};

/// The most that a limit of a user may be.
pub const MOST_LIMIT: i64 = 1_000_000;

/// What came of setting limits.
#[derive(Clone, Debug)]
pub enum LimitsSet {
    Done(Vec<Change>),
    /// Somebody else changed the user since the form was made; this is what is stored now.
    Conflict(Box<User>),
    NoSuchUser,
}

/// Sets or clears a user's limits, if the user is still as it was at `version`.
pub async fn set_limits(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    version: i64,
    wanted: UserLimits,
) -> Result<LimitsSet> {
    let (actor, now) = (actor.clone(), clock::now());
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = User::find(conn, user_id)? else { return Ok(LimitsSet::NoSuchUser) };
        let changes = differences(&stored, wanted);
        // A second run of this, or an edit to the same end: nothing is left to do.
        if changes.is_empty() {
            return Ok(LimitsSet::Done(changes));
        }
        if stored.version != version {
            return Ok(LimitsSet::Conflict(Box::new(stored)));
        }
        User::set_limits(conn, user_id, wanted)?;
        actor.record(
            conn,
            &Event { changes: &changes, ..Event::about_user(Action::Change, user_id) },
            now,
        )?;
        Ok(LimitsSet::Done(changes))
    };
    db.write(Scope::user(user_id), job).await
}

fn differences(stored: &User, wanted: UserLimits) -> Vec<Change> {
    let mut changes = Vec::new();
    for (field, before, after) in [
        ("chats at once", stored.concurrent_chats, wanted.concurrent_chats),
        ("requests a minute", stored.requests_per_minute, wanted.requests_per_minute),
    ] {
        if before != after {
            changes.push(Change::new(field, limit(before), limit(after)));
        }
    }
    changes
}

fn limit(limit: Option<i64>) -> String {
    limit.map_or_else(|| "as the settings say".to_owned(), |limit| limit.to_string())
}
