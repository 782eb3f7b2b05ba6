//! Users: adding, editing, deactivating, and logging out everywhere.

use chrono::NaiveDateTime;

use super::balances::reused;
use super::edit::{By, Edit, Edited, Target, edit, edit_and_record};
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, OperationId, Username, skeleton_of};
use crate::error::Result;
use crate::index::search;
use crate::metering::{NewAccount, OpenedAccount, open_account};
use crate::models::{
    AuthToken, Change, Editable, EntryKind, FieldValue, LedgerEntry, Session, User, UserChanges,
};

/// Why a change would lock administrators out of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockOut {
    /// The administrator's own rights would go.
    OwnRights,
    /// There would be no superuser who can sign in.
    LastSuperuser,
}

impl LockOut {
    const fn text(self) -> &'static str {
        match self {
            LockOut::OwnRights => {
                "you cannot remove your own rights or deactivate yourself: ask another superuser"
            }
            LockOut::LastSuperuser => "this is the last active superuser: make another one first",
        }
    }
}

/// A user to add.
#[derive(Clone, Debug)]
pub struct UserToAdd {
    /// The username.
    pub username: Username,
    /// The hash of the password, in Django's format.
    pub password_hash: String,
    /// The opening balance, in tokens.
    pub tokens: i64,
    /// Whether the user may view everything in the panel.
    pub is_staff: bool,
    /// Whether the user may change everything in the panel. This includes `is_staff`.
    pub is_superuser: bool,
    /// The id that was made with the form, so that sending it twice adds one user.
    pub operation_id: OperationId,
}

/// What the form that adds a user says about the user, other than the password.
#[derive(Clone, Debug)]
pub struct WantedUser {
    /// The name.
    pub username: Username,
    /// The opening balance, in tokens.
    pub tokens: i64,
    /// Whether the user may view everything in the panel.
    pub is_staff: bool,
    /// Whether the user may change everything in the panel.
    pub is_superuser: bool,
}

/// Returns the user that an operation has added, if it has added one.
///
/// # Errors
///
/// `Invalid` if the operation id has added another user, or one with another balance or other
/// rights.
pub async fn find_added(db: &Db, operation_id: OperationId, wanted: WantedUser) -> Result<Option<i64>> {
    db.read_few(move |conn| added_before(conn, operation_id, &wanted)).await
}

/// Returns the user that an operation has added, and fails if it was another operation.
fn added_before(
    conn: &mut DbConnection,
    operation_id: OperationId,
    wanted: &WantedUser,
) -> Result<Option<i64>> {
    let Some(entry) = LedgerEntry::find_by_operation(conn, operation_id.as_bytes())? else { return Ok(None) };
    let made = User::find(conn, entry.user_id)?;
    let is_user = |user: User| {
        let has_name = user.username_canonical == wanted.username.canonical();
        let is_staff = wanted.is_staff || wanted.is_superuser;
        has_name && (user.is_staff, user.is_superuser) == (is_staff, wanted.is_superuser)
    };
    let is_same =
        entry.kind == EntryKind::Opening && entry.amount == wanted.tokens && made.is_some_and(is_user);
    if is_same { Ok(Some(entry.user_id)) } else { Err(reused()) }
}

/// Adds a user with an opening balance and returns the id. `None` if the name is taken.
///
/// # Errors
///
/// `Invalid` if the operation id has already added another user.
pub async fn add_user(db: &Db, actor: &Actor, new: UserToAdd) -> Result<Option<i64>> {
    let (actor, now) = (actor.clone(), clock::now());
    let account = NewAccount {
        username: new.username,
        password_hash: new.password_hash,
        tokens: new.tokens,
        is_superuser: new.is_superuser,
        operation_id: new.operation_id,
        now,
    };
    let is_staff = new.is_staff || new.is_superuser;
    let wanted = WantedUser {
        username: account.username.clone(),
        tokens: account.tokens,
        is_staff,
        is_superuser: account.is_superuser,
    };
    let job = move |conn: &mut DbConnection| match add_and_record(conn, &actor, &account, is_staff)? {
        OpenedAccount::Opened(id) => Ok(Some(id)),
        OpenedAccount::OpenedBefore(_) => added_before(conn, account.operation_id, &wanted),
        OpenedAccount::NameTaken => Ok(None),
    };
    let added = match db.write(Scope::none(), job.clone()).await {
        // Between the look-up and the insert, the same form or somebody else added the name. Trying
        // again tells which.
        Err(error) if error.is_unique_violation() => db.write(Scope::none(), job).await,
        outcome => outcome,
    };
    match added {
        Err(error) if error.is_unique_violation() => Ok(None),
        outcome => outcome,
    }
}

/// Adds a user and records it, in the caller's transaction. A superuser is staff, too.
pub(crate) fn add_and_record(
    conn: &mut DbConnection,
    actor: &Actor,
    account: &NewAccount,
    is_staff: bool,
) -> Result<OpenedAccount> {
    let opened = open_account(conn, account)?;
    if let OpenedAccount::Opened(id) = opened {
        if is_staff && !account.is_superuser {
            User::set_staff(conn, id)?;
        }
        let changes = [
            Change::new("username", "", account.username.as_str()),
            Change::new("tokens", "", account.tokens),
            Change::new("staff", "", FieldValue::YesNo(is_staff || account.is_superuser)),
            Change::new("superuser", "", FieldValue::YesNo(account.is_superuser)),
        ];
        let event = Event { changes: &changes, ..Event::about_user(Action::Add, id) };
        actor.record(conn, &event, account.now)?;
    }
    Ok(opened)
}

impl Edit for UserChanges {
    fn refusal(&self, conn: &mut DbConnection, actor: &Actor, stored: &User) -> Result<Option<Invalid>> {
        if let Some(why) = lock_out(conn, actor, stored, self)? {
            return Ok(Some(Invalid::new("rights", why.text())));
        }
        if stored.username != self.username {
            let name = Username::stored(&self.username, &self.username_canonical);
            if User::is_name_taken(conn, &name, Some(stored.id))? {
                return Ok(Some(name_taken()));
            }
        }
        Ok(None)
    }

    fn follow_up(&self, conn: &mut DbConnection, before: &User, now: NaiveDateTime) -> Result<()> {
        if before.username != self.username {
            User::set_skeleton(conn, before.id, &skeleton_of(&self.username), true)?;
        }
        if before.username_canonical != self.username_canonical {
            search::index_user(conn, before.id, &self.username_canonical)?;
        }
        if before.is_active && !self.is_active {
            log_out(conn, before.id, now)?;
        }
        if !self.is_staff {
            Session::delete_all_of(conn, before.id, None)?;
        }
        Ok(())
    }

    fn action(&self, before: &User, changes: &[Change]) -> Action {
        match (before.is_active, self.is_active) {
            (true, false) if changes.len() == 1 => Action::Deactivate,
            (false, true) if changes.len() == 1 => Action::Reactivate,
            _ => Action::Change,
        }
    }

    fn event(action: Action, before: &User) -> Event<'static> {
        Event::about_user(action, before.id)
    }
}

/// Returns the fault of a name that another user has.
pub fn name_taken() -> Invalid {
    Invalid::new("username", "this name is taken, or looks like one that is: choose another")
}

/// Returns why these values would lock administrators out of the panel. `None` if they would not.
fn lock_out(
    conn: &mut DbConnection,
    actor: &Actor,
    stored: &User,
    wanted: &UserChanges,
) -> Result<Option<LockOut>> {
    let was = stored.is_superuser && stored.is_active;
    if !was || (wanted.is_superuser && wanted.is_active) {
        return Ok(None);
    }
    locked_out_without(conn, actor, stored.id)
}

/// Returns why an active superuser is needed. `None` if the panel works without this one.
pub(super) fn locked_out_without(
    conn: &mut DbConnection,
    actor: &Actor,
    superuser_id: i64,
) -> Result<Option<LockOut>> {
    if actor.user_id == Some(superuser_id) {
        return Ok(Some(LockOut::OwnRights));
    }
    let others = User::superusers(conn)?.into_iter().filter(|id| *id != superuser_id).count();
    Ok((others == 0).then_some(LockOut::LastSuperuser))
}

/// Returns the scope of an edit of a user. It locks the rows of all superusers, so that two cannot
/// demote each other at once and leave none.
async fn scope(db: &Db, user_id: i64) -> Result<Scope> {
    let mut locked = db.read(|conn| Ok(User::superusers(conn)?)).await?;
    locked.push(user_id);
    Ok(Scope::users(locked))
}

/// Changes a user's name and rights, if the user still has the `version` that the form showed. This
/// logs out a user whom it deactivates. Superusers are always staff, too. The reason may be empty.
pub async fn edit_user(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    version: i64,
    wanted: UserChanges,
    reason: &str,
) -> Result<Edited<User>> {
    let wanted = UserChanges { is_staff: wanted.is_staff || wanted.is_superuser, ..wanted };
    let target = Target { actor, id: user_id, scope: scope(db, user_id).await?, reason };
    let is_as_shown = move |stored: &User| stored.version == version;
    match edit(db, target, is_as_shown, move |_| wanted.clone()).await {
        Err(error) if error.is_unique_violation() => Ok(Edited::Refused(name_taken())),
        outcome => outcome,
    }
}

/// Deactivates or reactivates a user, whatever else has changed. The reason may be empty.
pub async fn set_active(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    is_active: bool,
    reason: &str,
) -> Result<Edited<User>> {
    let target = Target { actor, id: user_id, scope: scope(db, user_id).await?, reason };
    let wanted = move |stored: &User| UserChanges { is_active, ..UserChanges::of(stored) };
    edit(db, target, |_| true, wanted).await
}

/// Deactivates or reactivates a user who still has the `version` that was shown.
pub async fn set_active_if_unchanged(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    version: i64,
    is_active: bool,
    reason: &str,
) -> Result<Edited<User>> {
    let target = Target { actor, id: user_id, scope: scope(db, user_id).await?, reason };
    let wanted = move |stored: &User| UserChanges { is_active, ..UserChanges::of(stored) };
    edit(db, target, move |stored: &User| stored.version == version, wanted).await
}

/// Deactivates or reactivates a user, whatever else has changed, in the caller's transaction. It
/// must have locked the rows of all superusers.
pub(crate) fn set_active_and_record(
    conn: &mut DbConnection,
    by: &By<'_>,
    user_id: i64,
    is_active: bool,
) -> Result<Edited<User>> {
    let wanted = |stored: &User| UserChanges { is_active, ..UserChanges::of(stored) };
    edit_and_record(conn, by, user_id, |_| true, wanted)
}

/// Ends all of a user's auth tokens and sessions. Returns the number of each.
fn log_out(conn: &mut DbConnection, user_id: i64, now: NaiveDateTime) -> Result<(usize, usize)> {
    let tokens = AuthToken::revoke_all(conn, user_id, None, now)?;
    Ok((tokens, Session::delete_all_of(conn, user_id, None)?))
}

/// Ends all of a user's auth tokens and sessions, and records it with the reason, which may be
/// empty. Returns the number of each.
pub async fn log_out_everywhere(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    reason: &str,
) -> Result<(usize, usize)> {
    let (actor, now, reason) = (actor.clone(), clock::now(), reason.to_owned());
    let job = move |conn: &mut DbConnection| {
        log_out_and_record(conn, &By { actor: &actor, reason: &reason, now }, user_id)
    };
    db.write(Scope::user(user_id), job).await
}

/// Does what [`log_out_everywhere`] does in the caller's transaction.
pub(crate) fn log_out_and_record(
    conn: &mut DbConnection,
    by: &By<'_>,
    user_id: i64,
) -> Result<(usize, usize)> {
    let ended = log_out(conn, user_id, by.now)?;
    if ended != (0, 0) {
        let changes =
            [Change::new("auth_tokens_revoked", "", ended.0), Change::new("sessions_ended", "", ended.1)];
        let event = Event {
            changes: &changes,
            note: by.reason,
            ..Event::about_user(Action::LogOutEverywhere, user_id)
        };
        by.actor.record(conn, &event, by.now)?;
    }
    Ok(ended)
}
