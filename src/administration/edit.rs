//! The protocol of all edits. One transaction loads the row, compares it with what the form was
//! made from, stores the new values and records the differences.

use chrono::NaiveDateTime;

use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::Invalid;
use crate::error::Result;
use crate::models::{Change, Editable};

/// The outcome of an edit.
#[derive(Clone, Debug)]
pub enum Edited<T> {
    /// The changes are stored. Empty if there was nothing to change.
    Done(Vec<Change>),
    /// Somebody else has changed the row since the form was made. Holds the row as it is stored
    /// now.
    Conflict(Box<T>),
    /// The values are not allowed, and nothing was stored.
    Refused(Invalid),
    /// There is no such row, or it can no longer be edited.
    Gone,
}

/// The rules for editing these values, in addition to the protocol.
pub(super) trait Edit: Editable {
    /// Returns why the values must not be stored. `None` if they may be.
    fn refusal(
        &self,
        _conn: &mut DbConnection,
        _actor: &Actor,
        _stored: &Self::Row,
    ) -> Result<Option<Invalid>> {
        Ok(None)
    }

    /// Makes the changes to other tables that follow from values that were just stored.
    fn follow_up(&self, _conn: &mut DbConnection, _before: &Self::Row, _now: NaiveDateTime) -> Result<()> {
        Ok(())
    }

    /// Returns the action that the audit log records.
    fn action(&self, _before: &Self::Row, _changes: &[Change]) -> Action {
        Action::Change
    }

    /// Returns the event that the audit log records, without its changes.
    fn event(action: Action, before: &Self::Row) -> Event<'static>;
}

/// The row to edit, and who edits it.
pub(super) struct Target<'a> {
    pub actor: &'a Actor,
    pub id: i64,
    /// The users whose rows are locked during the edit.
    pub scope: Scope,
    /// The reason, for the audit log. Empty if none was given.
    pub reason: &'a str,
}

/// Stores the values that `wanted` returns for a row, if `is_as_shown` says that nobody has changed
/// the row since the form was made. If the row has these values already, nothing is stored or
/// recorded.
pub(super) async fn edit<E: Edit>(
    db: &Db,
    target: Target<'_>,
    is_as_shown: impl Fn(&E::Row) -> bool + Send + Sync + 'static,
    wanted: impl Fn(&E::Row) -> E + Send + Sync + 'static,
) -> Result<Edited<E::Row>> {
    let (actor, now, id, reason) = (target.actor.clone(), clock::now(), target.id, target.reason.to_owned());
    let job = move |conn: &mut DbConnection| {
        let by = By { actor: &actor, reason: &reason, now };
        edit_and_record::<E>(conn, &by, id, &is_as_shown, &wanted)
    };
    db.write(target.scope, job).await
}

/// Who acts, why and when.
pub(crate) struct By<'a> {
    pub actor: &'a Actor,
    /// The reason, for the audit log. Empty if none was given.
    pub reason: &'a str,
    pub now: NaiveDateTime,
}

/// Does what [`edit`] does in the caller's transaction, which locks the users that it changes.
pub(super) fn edit_and_record<E: Edit>(
    conn: &mut DbConnection,
    by: &By<'_>,
    id: i64,
    is_as_shown: impl Fn(&E::Row) -> bool,
    wanted: impl Fn(&E::Row) -> E,
) -> Result<Edited<E::Row>> {
    let Some(stored) = E::find(conn, id)? else { return Ok(Edited::Gone) };
    let wanted = wanted(&stored);
    let changes = wanted.differences(&stored);
    // The same form was sent again, or somebody else has made the same change.
    if changes.is_empty() {
        return Ok(Edited::Done(changes));
    }
    if !is_as_shown(&stored) {
        return Ok(Edited::Conflict(Box::new(stored)));
    }
    if let Some(why) = wanted.refusal(conn, by.actor, &stored)? {
        return Ok(Edited::Refused(why));
    }
    if !wanted.store(conn, &stored)? {
        // Another edit came in between, so the row read above is out of date.
        let stored = E::find(conn, id)?.unwrap_or(stored);
        return Ok(Edited::Conflict(Box::new(stored)));
    }
    wanted.follow_up(conn, &stored, by.now)?;
    let event = E::event(wanted.action(&stored, &changes), &stored);
    by.actor.record(conn, &Event { changes: &changes, note: by.reason, ..event }, by.now)?;
    Ok(Edited::Done(changes))
}
