//! The one protocol of edits: load the row, compare it with what the form was made from, store the new
//! values and record the differences, in one transaction.

use chrono::NaiveDateTime;

use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::Invalid;
use crate::error::Result;
use crate::models::{Change, Editable};

/// What came of an edit.
#[derive(Clone, Debug)]
pub enum Edited<T> {
    /// The fields that were changed: none if nothing was left to do.
    Done(Vec<Change>),
    /// Somebody else changed the row since the form was made; this is what is stored now.
    Conflict(Box<T>),
    /// The values are not allowed; nothing was stored.
    Refused(Invalid),
    /// There is no such row, or it cannot be edited any more.
    Gone,
}

/// What edits of these values need beside the protocol.
pub(super) trait Edit: Editable {
    /// Returns why the values must not be stored.
    fn refusal(
        &self,
        _conn: &mut DbConnection,
        _actor: &Actor,
        _stored: &Self::Row,
    ) -> Result<Option<Invalid>> {
        Ok(None)
    }

    /// Does what follows from values that were just stored.
    fn follow_up(&self, _conn: &mut DbConnection, _before: &Self::Row, _now: NaiveDateTime) -> Result<()> {
        Ok(())
    }

    /// Returns what the history calls the edit.
    fn action(&self, _before: &Self::Row, _changes: &[Change]) -> Action {
        Action::Change
    }

    /// Returns the event that the history records, without its changes.
    fn event(action: Action, before: &Self::Row) -> Event<'static>;
}

/// Who edits which row.
pub(super) struct Target<'a> {
    pub actor: &'a Actor,
    pub id: i64,
    /// The users whose rows are locked meanwhile.
    pub scope: Scope,
}

/// Gives a row the values that `wanted` returns for it, if `is_as_shown` says that nobody has changed it
/// since the form was made.
pub(super) async fn edit<E: Edit>(
    db: &Db,
    target: Target<'_>,
    is_as_shown: impl Fn(&E::Row) -> bool + Send + Sync + 'static,
    wanted: impl Fn(&E::Row) -> E + Send + Sync + 'static,
) -> Result<Edited<E::Row>> {
    let (actor, now, id) = (target.actor.clone(), clock::now(), target.id);
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = E::find(conn, id)? else { return Ok(Edited::Gone) };
        let wanted = wanted(&stored);
        let changes = wanted.differences(&stored);
        // A second run of this edit, or an edit to the same end: nothing is left to do.
        if changes.is_empty() {
            return Ok(Edited::Done(changes));
        }
        if !is_as_shown(&stored) {
            return Ok(Edited::Conflict(Box::new(stored)));
        }
        if let Some(why) = wanted.refusal(conn, &actor, &stored)? {
            return Ok(Edited::Refused(why));
        }
        if !wanted.store(conn, &stored)? {
            // What was read above is older than the edit that came in between.
            let stored = E::find(conn, id)?.unwrap_or(stored);
            return Ok(Edited::Conflict(Box::new(stored)));
        }
        wanted.follow_up(conn, &stored, now)?;
        let event = E::event(wanted.action(&stored, &changes), &stored);
        actor.record(conn, &Event { changes: &changes, ..event }, now)?;
        Ok(Edited::Done(changes))
    };
    db.write(target.scope, job).await
}
