//! Users: adding, editing, deactivating, and logging out everywhere.

use chrono::NaiveDateTime;

use super::balances::reused;
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{OperationId, Username};
use crate::error::Result;
use crate::index::search;
use crate::metering::{NewAccount, OpenedAccount, open_account};
use crate::models::{AuthToken, Change, Session, User, UserChanges};

/// An edit of a user as it came from a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEdit {
    pub user_id: i64,
    /// The version that the form was made from.
    pub version: i64,
    pub username: Username,
    pub is_active: bool,
    pub is_staff: bool,
    pub is_superuser: bool,
}

/// What came of an edit.
#[derive(Clone, Debug)]
pub enum Edited {
    Done(Vec<Change>),
    /// Somebody else changed the user since the form was made; this is what is stored now.
    Conflict(Box<User>),
    NameTaken,
    /// It would lock people out; says why.
    Refused(&'static str),
    NoSuchUser,
}

const OWN_RIGHTS: &str =
    "you cannot take your own rights or deactivate yourself: another superuser has to do it";
const LAST_SUPERUSER: &str = "this is the last active superuser: make another one first";

/// A user to be added.
#[derive(Clone, Debug)]
pub struct UserToAdd {
    pub username: Username,
    pub password_hash: String,
    pub tokens: i64,
    pub is_staff: bool,
    pub is_superuser: bool,
    /// Made with the form, so that sending it twice adds one user.
    pub operation_id: OperationId,
}

/// Adds a user with its opening balance; `None`: the name is taken.
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
    let job = move |conn: &mut DbConnection| {
        let id = match open_account(conn, &account)? {
            OpenedAccount::Opened(id) => id,
            OpenedAccount::OpenedBefore(id) => {
                let made = User::find(conn, id)?.map(|user| user.username_canonical);
                let is_same = made.as_deref() == Some(account.username.canonical());
                return if is_same { Ok(Some(id)) } else { Err(reused()) };
            }
            OpenedAccount::NameTaken => return Ok(None),
        };
        if is_staff && !account.is_superuser {
            User::set_staff(conn, id)?;
        }
        let changes = [
            Change::new("username", "", account.username.as_str()),
            Change::new("tokens", "", account.tokens),
            Change::new("staff", "", yes_no(is_staff)),
            Change::new("superuser", "", yes_no(account.is_superuser)),
        ];
        actor.record(conn, &Event { changes: &changes, ..Event::about_user(Action::Add, id) }, now)?;
        Ok(Some(id))
    };
    let added = match db.write(Scope::none(), job.clone()).await {
        // The same form or somebody else came between the look and the insert: a second look tells which.
        Err(error) if error.is_unique_violation() => db.write(Scope::none(), job).await,
        outcome => outcome,
    };
    match added {
        Err(error) if error.is_unique_violation() => Ok(None),
        outcome => outcome,
    }
}

/// Changes name and rights, if the user is still as the form showed it. Who is deactivated by it is logged out.
pub async fn edit_user(db: &Db, actor: &Actor, edit: UserEdit) -> Result<Edited> {
    let (actor, now, user_id) = (actor.clone(), clock::now(), edit.user_id);
    // All superusers' rows are locked, so that two cannot demote each other at once and leave none.
    let mut locked = db.read(|conn| Ok(User::superusers(conn)?)).await?;
    locked.push(user_id);
    let job = move |conn: &mut DbConnection| apply(conn, &actor, &edit, now);
    match db.write(Scope::users(locked), job).await {
        Err(error) if error.is_unique_violation() => Ok(Edited::NameTaken),
        outcome => outcome,
    }
}

fn apply(conn: &mut DbConnection, actor: &Actor, edit: &UserEdit, now: NaiveDateTime) -> Result<Edited> {
    let Some(stored) = User::find(conn, edit.user_id)? else { return Ok(Edited::NoSuchUser) };
    let wanted = UserChanges {
        username: edit.username.as_str().to_owned(),
        username_canonical: edit.username.canonical().to_owned(),
        is_active: edit.is_active,
        is_staff: edit.is_staff || edit.is_superuser,
        is_superuser: edit.is_superuser,
    };
    let changes = differences(&stored, &wanted);
    if stored.version != edit.version {
        // A second run of this edit, or an edit to the same end: nothing is left to do.
        let is_done = changes.is_empty();
        return Ok(if is_done { Edited::Done(changes) } else { Edited::Conflict(Box::new(stored)) });
    }
    if changes.is_empty() {
        return Ok(Edited::Done(changes));
    }
    if let Some(why) = refusal(conn, actor, &stored, &wanted)? {
        return Ok(Edited::Refused(why));
    }
    if stored.username_canonical != wanted.username_canonical {
        let other = User::find_by_name(conn, &wanted.username, &wanted.username_canonical)?;
        if other.is_some_and(|other| other.id != stored.id) {
            return Ok(Edited::NameTaken);
        }
    }
    User::edit(conn, stored.id, &wanted)?;
    if stored.username_canonical != wanted.username_canonical {
        search::index_user(conn, stored.id, &wanted.username_canonical)?;
    }
    if stored.is_active && !wanted.is_active {
        log_out(conn, stored.id, now)?;
    }
    if !wanted.is_staff {
        Session::delete_all_of(conn, stored.id, None)?;
    }
    let action = match (stored.is_active, wanted.is_active) {
        (true, false) if changes.len() == 1 => Action::Deactivate,
        (false, true) if changes.len() == 1 => Action::Reactivate,
        _ => Action::Change,
    };
    actor.record(conn, &Event { changes: &changes, ..Event::about_user(action, stored.id) }, now)?;
    Ok(Edited::Done(changes))
}

fn differences(stored: &User, wanted: &UserChanges) -> Vec<Change> {
    let mut changes = Vec::new();
    if stored.username != wanted.username {
        changes.push(Change::new("username", &stored.username, &wanted.username));
    }
    for (field, before, after) in [
        ("active", stored.is_active, wanted.is_active),
        ("staff", stored.is_staff, wanted.is_staff),
        ("superuser", stored.is_superuser, wanted.is_superuser),
    ] {
        if before != after {
            changes.push(Change::new(field, yes_no(before), yes_no(after)));
        }
    }
    changes
}

fn refusal(
    conn: &mut DbConnection,
    actor: &Actor,
    stored: &User,
    wanted: &UserChanges,
) -> Result<Option<&'static str>> {
    let was = stored.is_superuser && stored.is_active;
    if !was || (wanted.is_superuser && wanted.is_active) {
        return Ok(None);
    }
    if actor.user_id == Some(stored.id) {
        return Ok(Some(OWN_RIGHTS));
    }
    let others = User::superusers(conn)?.into_iter().filter(|id| *id != stored.id).count();
    Ok((others == 0).then_some(LAST_SUPERUSER))
}

pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Ends all of a user's auth tokens and sessions.
pub(super) fn log_out(conn: &mut DbConnection, user_id: i64, now: NaiveDateTime) -> Result<(usize, usize)> {
    let tokens = AuthToken::revoke_all(conn, user_id, None, now)?;
    Ok((tokens, Session::delete_all_of(conn, user_id, None)?))
}

/// Deactivates or reactivates a user, as it is now.
pub async fn set_active(db: &Db, actor: &Actor, user_id: i64, is_active: bool) -> Result<Edited> {
    let Some(user) = db.read(move |conn| Ok(User::find(conn, user_id)?)).await? else {
        return Ok(Edited::NoSuchUser);
    };
    let (actor, now) = (actor.clone(), clock::now());
    let mut locked = db.read(|conn| Ok(User::superusers(conn)?)).await?;
    locked.push(user.id);
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = User::find(conn, user_id)? else { return Ok(Edited::NoSuchUser) };
        let wanted = UserChanges {
            username: stored.username.clone(),
            username_canonical: stored.username_canonical.clone(),
            is_active,
            is_staff: stored.is_staff,
            is_superuser: stored.is_superuser,
        };
        let changes = differences(&stored, &wanted);
        if changes.is_empty() {
            return Ok(Edited::Done(changes));
        }
        if let Some(why) = refusal(conn, &actor, &stored, &wanted)? {
            return Ok(Edited::Refused(why));
        }
        User::edit(conn, user_id, &wanted)?;
        if !is_active {
            log_out(conn, user_id, now)?;
        }
        let action = if is_active { Action::Reactivate } else { Action::Deactivate };
        actor.record(conn, &Event { changes: &changes, ..Event::about_user(action, user_id) }, now)?;
        Ok(Edited::Done(changes))
    };
    db.write(Scope::users(locked), job).await
}

/// Ends all of a user's auth tokens and sessions; answers how many of each.
pub async fn log_out_everywhere(db: &Db, actor: &Actor, user_id: i64) -> Result<(usize, usize)> {
    let (actor, now) = (actor.clone(), clock::now());
    let job = move |conn: &mut DbConnection| {
        let ended = log_out(conn, user_id, now)?;
        if ended != (0, 0) {
            let changes =
                [Change::new("auth tokens revoked", "", ended.0), Change::new("sessions ended", "", ended.1)];
            let event = Event { changes: &changes, ..Event::about_user(Action::LogOutEverywhere, user_id) };
            actor.record(conn, &event, now)?;
        }
        Ok(ended)
    };
    db.write(Scope::user(user_id), job).await
}
