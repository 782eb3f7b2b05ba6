//! The audit log: who did what to what, when and from where, with each field before and after. The
//! panel shows it as *History*.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::QueryResult;

use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::{AuditEntry, Change, FieldValue, NewAuditEntry};

/// The note on an action by the command line, which does not know the user's name.
pub(crate) const COMMAND_LINE: &str = "by the command line";

/// The user who acts, and the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The administrator. `None` for the server itself and the command line.
    pub user_id: Option<i64>,
    /// The client's address. Empty if there is none, as for a command.
    pub address: String,
}

/// The kind of thing that an action changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A user.
    User,
    /// An auth token.
    AuthToken,
    /// A chat.
    Chat,
    /// A session of the panel.
    Session,
    /// An action on many rows at once.
    BulkOperation,
    /// A check of the ledger.
    Verification,
    /// A model, with its price.
    Model,
    /// A backup. Its id is the time in its name.
    Backup,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [ObjectKind; 8] = [
        ObjectKind::User,
        ObjectKind::AuthToken,
        ObjectKind::Chat,
        ObjectKind::Session,
        ObjectKind::BulkOperation,
        ObjectKind::Verification,
        ObjectKind::Model,
        ObjectKind::Backup,
    ];

    /// Returns the code, as the database stores it. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            ObjectKind::User => "user",
            ObjectKind::AuthToken => "auth_token",
            ObjectKind::Chat => "chat",
            ObjectKind::Session => "session",
            ObjectKind::BulkOperation => "bulk_operation",
            ObjectKind::Verification => "verification",
            ObjectKind::Model => "model",
            ObjectKind::Backup => "backup",
        }
    }

    /// Returns the name that the panel shows.
    pub const fn text(self) -> &'static str {
        match self {
            ObjectKind::User => "user",
            ObjectKind::AuthToken => "auth token",
            ObjectKind::Chat => "chat",
            ObjectKind::Session => "session",
            ObjectKind::BulkOperation => "bulk operation",
            ObjectKind::Verification => "verification",
            ObjectKind::Model => "model",
            ObjectKind::Backup => "backup",
        }
    }

    /// Returns the kind with this code, in which 0.1.0 stored blanks. `None` if there is none, as
    /// for a code of a newer version.
    pub fn from_code(code: &str) -> Option<ObjectKind> {
        ObjectKind::ALL.into_iter().find(|kind| kind.code() == code.replace(' ', "_"))
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The thing was made.
    Add,
    /// Some of its fields were changed.
    Change,
    /// A user's password was set.
    SetPassword,
    /// A user was deactivated: no credential of theirs is accepted any more.
    Deactivate,
    /// A deactivated user may act again.
    Reactivate,
    /// A user's name and texts were removed.
    Anonymise,
    /// A user's balance was adjusted.
    Adjust,
    /// A chat was refunded.
    Refund,
    /// A pending chat was ended, and its hold released.
    Release,
    /// An auth token was revoked.
    Revoke,
    /// A session began.
    SignIn,
    /// Somebody could not sign in to the panel.
    FailSignIn,
    /// A session ended.
    SignOut,
    /// All of a user's auth tokens and sessions were ended.
    LogOutEverywhere,
    /// A bulk operation, a verification or a backup was started.
    Start,
    /// A backup was downloaded.
    Download,
}

impl Action {
    /// All actions, for the filter of the panel's History.
    pub const ALL: [Action; 16] = [
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
        Action::FailSignIn,
        Action::SignOut,
        Action::LogOutEverywhere,
        Action::Start,
        Action::Download,
    ];

    /// Returns the code, as the database stores it. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            Action::Add => "add",
            Action::Change => "change",
            Action::SetPassword => "set_password",
            Action::Deactivate => "deactivate",
            Action::Reactivate => "reactivate",
            Action::Anonymise => "anonymise",
            Action::Adjust => "adjust",
            Action::Refund => "refund",
            Action::Release => "release",
            Action::Revoke => "revoke",
            Action::SignIn => "sign_in",
            Action::FailSignIn => "fail_sign_in",
            Action::SignOut => "sign_out",
            Action::LogOutEverywhere => "log_out_everywhere",
            Action::Start => "start",
            Action::Download => "download",
        }
    }

    /// Returns the text that the panel shows: a past tense that can follow the actor's name.
    pub const fn text(self) -> &'static str {
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
            Action::FailSignIn => "rejected a sign-in",
            Action::SignOut => "signed out",
            Action::LogOutEverywhere => "logged out everywhere",
            Action::Start => "started",
            Action::Download => "downloaded",
        }
    }

    /// Returns the text that 0.1.0 stored instead of the code.
    pub const fn old_text(self) -> &'static str {
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
            Action::FailSignIn => "rejected a sign-in",
            Action::SignOut => "signed out",
            Action::LogOutEverywhere => "logged out everywhere",
            Action::Start => "started",
            Action::Download => "downloaded",
        }
    }

    /// Returns the text of a stored code. A code that this version does not know is its own text.
    pub fn text_of(code: &str) -> &str {
        let known = Action::ALL.into_iter().find(|action| [action.code(), action.old_text()].contains(&code));
        known.map_or(code, |action| action.text())
    }
}

/// An action, and the thing that it changed.
pub(crate) struct Event<'a> {
    pub action: Action,
    /// The kind of the thing.
    pub kind: ObjectKind,
    /// The id of the thing.
    pub id: i64,
    /// The user whom the action concerns.
    pub user_id: Option<i64>,
    /// Each changed field, before and after.
    pub changes: &'a [Change],
    /// The reason that the actor gave, or a note. Empty if there is none.
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
            action: event.action.code(),
            object_kind: event.kind.code(),
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

/// Deletes the entries that are older than `days`. Returns their number.
pub async fn forget(db: &Db, days: u32) -> Result<usize> {
    let before = clock::now() - TimeDelta::days(i64::from(days));
    db.write_in_parts(move |conn, most| Ok(AuditEntry::forget(conn, before, most)?)).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Action, ObjectKind};

    #[test]
    fn each_action_and_each_kind_has_a_code_of_its_own() {
        let actions: HashSet<_> = Action::ALL.map(Action::code).into();
        let kinds: HashSet<_> = ObjectKind::ALL.map(ObjectKind::code).into();
        assert_eq!((actions.len(), kinds.len()), (Action::ALL.len(), ObjectKind::ALL.len()));
        for code in actions.iter().chain(&kinds) {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        }
        for kind in ObjectKind::ALL {
            assert_eq!(ObjectKind::from_code(kind.code()), Some(kind));
            assert_eq!(ObjectKind::from_code(&kind.code().replace('_', " ")), Some(kind));
        }
    }

    #[test]
    fn an_unknown_action_is_its_own_text() {
        assert_eq!(Action::text_of("sign_in"), "signed in");
        assert_eq!(Action::text_of("of_a_newer_version"), "of_a_newer_version");
    }
}
