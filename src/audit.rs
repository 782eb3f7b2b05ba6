//! The audit log: who did what to what, when and from where, with each field before and after. The panel
//! shows it as *History*.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::QueryResult;

use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::{AuditEntry, Change, FieldValue, NewAuditEntry};

/// The note on what was done by a command, by somebody whom the database does not know.
pub(crate) const COMMAND_LINE: &str = "by the command line";

/// Who does it, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The administrator; `None`: the server itself or the command line.
    pub user_id: Option<i64>,
    /// The address that the request came from; empty without one.
    pub address: String,
}

/// What kind of thing something was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    User,
    AuthToken,
    Chat,
    Session,
    BulkOperation,
    Verification,
    Model,
}

impl ObjectKind {
    pub const ALL: [ObjectKind; 7] = [
        ObjectKind::User,
        ObjectKind::AuthToken,
        ObjectKind::Chat,
        ObjectKind::Session,
        ObjectKind::BulkOperation,
        ObjectKind::Verification,
        ObjectKind::Model,
    ];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            ObjectKind::User => "user",
            ObjectKind::AuthToken => "auth token",
            ObjectKind::Chat => "chat",
            ObjectKind::Session => "session",
            ObjectKind::BulkOperation => "bulk operation",
            ObjectKind::Verification => "verification",
            ObjectKind::Model => "model",
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Change,
    SetPassword,
    Deactivate,
    Reactivate,
    Anonymise,
    Adjust,
    Refund,
    Release,
    Revoke,
    SignIn,
    SignOut,
    LogOutEverywhere,
    Start,
}

impl Action {
    pub const ALL: [Action; 14] = [
        Action::Add,
        Action::Change,
        Action::SetPassword,
        Action::Deactivate,
        Action::Reactivate,
        Action::Anonymise,
        Action::Adjust,
        Action::Refund,
        Action::Release,
        Action::Revoke,
        Action::SignIn,
        Action::SignOut,
        Action::LogOutEverywhere,
        Action::Start,
    ];

    /// As it is stored, and as it is read after the name of who did it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Add => "added",
            Action::Change => "changed",
            Action::SetPassword => "set the password",
            Action::Deactivate => "deactivated",
            Action::Reactivate => "reactivated",
            Action::Anonymise => "anonymised",
            Action::Adjust => "adjusted the balance",
            Action::Refund => "refunded",
            Action::Release => "released",
            Action::Revoke => "revoked",
            Action::SignIn => "signed in",
            Action::SignOut => "signed out",
            Action::LogOutEverywhere => "logged out everywhere",
            Action::Start => "started",
        }
    }
}

/// What was done to what.
pub(crate) struct Event<'a> {
    pub action: Action,
    pub kind: ObjectKind,
    pub id: i64,
    /// The user whom it concerns.
    pub user_id: Option<i64>,
    pub changes: &'a [Change],
    pub note: &'a str,
}

impl Event<'_> {
    /// An event about a user, without changes or a note.
    pub(crate) const fn about_user(action: Action, id: i64) -> Event<'static> {
        Event { action, kind: ObjectKind::User, id, user_id: Some(id), changes: &[], note: "" }
    }

    /// An event about an auth token of a user, without changes or a note.
    pub(crate) const fn about_auth_token(action: Action, id: i64, user_id: i64) -> Event<'static> {
        Event { action, kind: ObjectKind::AuthToken, id, user_id: Some(user_id), changes: &[], note: "" }
    }
}

impl Actor {
    /// Records an event, in the caller's transaction.
    pub(crate) fn record(
        &self,
        conn: &mut DbConnection,
        event: &Event<'_>,
        now: NaiveDateTime,
    ) -> QueryResult<()> {
        self.entry(event, now).insert(conn).map(|_| ())
    }

    /// Records many events at once, in the caller's transaction.
    pub(crate) fn record_all(
        &self,
        conn: &mut DbConnection,
        events: &[Event<'_>],
        now: NaiveDateTime,
    ) -> QueryResult<()> {
        let entries: Vec<_> = events.iter().map(|event| self.entry(event, now)).collect();
        NewAuditEntry::insert_all(conn, &entries)
    }

    fn entry<'a>(&'a self, event: &Event<'a>, now: NaiveDateTime) -> NewAuditEntry<'a> {
        NewAuditEntry {
            created_at: now,
            actor_id: self.user_id,
            action: event.action.as_str(),
            object_kind: event.kind.as_str(),
            object_id: event.id,
            user_id: event.user_id,
            changes: serde_json::to_string(event.changes).unwrap_or_else(|_| "[]".to_owned()),
            note: event.note,
            address: &self.address,
        }
    }
}

/// Returns a time as it is recorded.
pub(crate) fn time_text(time: Option<NaiveDateTime>) -> String {
    FieldValue::Time(time).to_string()
}

/// Deletes the entries that are older than this many days. Returns their number.
pub async fn forget(db: &Db, days: u32) -> Result<usize> {
    let before = clock::now() - TimeDelta::days(i64::from(days));
    db.write_in_parts(move |conn, most| Ok(AuditEntry::forget(conn, before, most)?)).await
}
