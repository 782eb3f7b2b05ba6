//! History: who did what to what, when and from where, with each field before and after.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::QueryResult;

use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::{AuditEntry, Change, NewAuditEntry};

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
pub(crate) struct Deed<'a> {
    pub action: Action,
    pub kind: ObjectKind,
    pub id: i64,
    /// The user whom it concerns.
    pub user_id: Option<i64>,
    pub changes: &'a [Change],
    pub note: &'a str,
}

impl Actor {
    /// Writes it down, in the caller's transaction.
    pub(crate) fn record(
        &self,
        conn: &mut DbConnection,
        deed: &Deed<'_>,
        now: NaiveDateTime,
    ) -> QueryResult<()> {
        self.entry(deed, now).insert(conn).map(|_| ())
    }

    /// Records many actions at once.
    pub(crate) fn record_all(
        &self,
        conn: &mut DbConnection,
        deeds: &[Deed<'_>],
        now: NaiveDateTime,
    ) -> QueryResult<()> {
        let entries: Vec<_> = deeds.iter().map(|deed| self.entry(deed, now)).collect();
        NewAuditEntry::insert_all(conn, &entries)
    }

    fn entry<'a>(&'a self, deed: &Deed<'a>, now: NaiveDateTime) -> NewAuditEntry<'a> {
        NewAuditEntry {
            created_at: now,
            actor_id: self.user_id,
            action: deed.action.as_str(),
            object_kind: deed.kind.as_str(),
            object_id: deed.id,
            user_id: deed.user_id,
            changes: serde_json::to_string(deed.changes).unwrap_or_else(|_| "[]".to_owned()),
            note: deed.note,
            address: &self.address,
        }
    }
}

/// Deletes the history that is older than so many days; answers how many entries there were.
pub async fn forget_history(db: &Db, days: u32) -> Result<usize> {
    let before = clock::now() - TimeDelta::days(i64::from(days));
    db.write_in_parts(move |conn, most| Ok(AuditEntry::forget(conn, before, most)?)).await
}
