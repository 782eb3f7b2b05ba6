//! Creates a user with its opening balance and the ledger entry for it.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::entry::NewEntry;
use crate::db::DbConnection;
use crate::domain::{OperationId, Username};
use crate::models::{EntryKind, LedgerEntry, User, Watermark};
use crate::schema::users;

/// The user that [`open_account`] creates.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name, which obeys the rules for new names.
    pub username: Username,
    /// The password hash in Django's form: `algorithm$…`.
    pub password_hash: String,
    /// The opening balance, in tokens.
    pub tokens: i64,
    /// Whether the user is a superuser and staff.
    pub is_superuser: bool,
    /// Identifies the opening entry, so that a repeated run finds it.
    pub operation_id: OperationId,
    /// When the user joins.
    pub now: NaiveDateTime,
}

/// The outcome of [`open_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenedAccount {
    /// The user was created. Contains its id.
    Opened(i64),
    /// An earlier run of the same operation has created this user. Nothing was written.
    OpenedBefore(i64),
    /// Another user has this name, or one that looks like it. Nothing was written.
    NameTaken,
}

/// Creates the user and its opening entry. A second run of the same operation finds what the first
/// one did.
pub fn open_account(conn: &mut DbConnection, new: &NewAccount) -> QueryResult<OpenedAccount> {
    // Look up the name first: on PostgreSQL another run may commit between the two lookups. A run
    // that sees the other's user must also see its operation.
    let canonical = new.username.canonical();
    let is_taken = User::is_name_taken(conn, &new.username, None)?;
    if let Some(entry) = LedgerEntry::find_by_operation(conn, new.operation_id.as_bytes())? {
        return Ok(OpenedAccount::OpenedBefore(entry.user_id));
    }
    if is_taken {
        return Ok(OpenedAccount::NameTaken);
    }
    Watermark::before_insert(conn)?;
    let id: i64 = diesel::insert_into(users::table)
        .values((
            users::username.eq(new.username.as_str()),
            users::username_canonical.eq(canonical),
            users::password.eq(&new.password_hash),
            users::tokens.eq(new.tokens),
            users::is_active.eq(true),
            users::is_staff.eq(new.is_superuser),
            users::is_superuser.eq(new.is_superuser),
            users::date_joined.eq(new.now),
            users::version.eq(0),
            users::username_skeleton.eq(new.username.skeleton()),
            users::skeleton_guarded.eq(true),
        ))
        .returning(users::id)
        .get_result(conn)?;
    NewEntry {
        user_id: id,
        amount: new.tokens,
        balance_after: new.tokens,
        kind: EntryKind::Opening,
        chat_id: None,
        actor_id: None,
        note: "",
        operation_id: new.operation_id,
        now: new.now,
    }
    .insert(conn)?;
    Ok(OpenedAccount::Opened(id))
}
