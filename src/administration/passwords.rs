//! Setting passwords, by their owners and by administrators.

use super::{Action, Actor};
use crate::auth::{about_user, parse_new_password};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, NewPassword, TokenDigest};
use crate::error::{Error, Result};
use crate::models::{AuthToken, Session, User};

/// The credential that stays valid after a password change. All others end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    /// The auth token with this id.
    AuthToken(i64),
    /// The session with this id, under a new secret with this digest.
    Session {
        id: i64,
        digest: TokenDigest,
    },
}

/// Stores the hash of a new password, ends the user's auth tokens and sessions except `keep`, and records it
/// in the history. With `old_hash`, does so only if that is still the stored hash. Returns whether it was
/// done.
pub async fn set_user_password(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    hash: String,
    old_hash: Option<String>,
    keep: Keep,
) -> Result<bool> {
    let (actor, now) = (actor.clone(), clock::now());
    let (auth_token, session) = match keep {
        Keep::Nothing => (None, None),
        Keep::AuthToken(id) => (Some(id), None),
        Keep::Session { id, .. } => (None, Some(id)),
    };
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = User::find(conn, user_id)? else { return Err(Error::NotFound) };
        // A second run of this job finds its own hash, because nobody else can have made it.
        if stored.password == hash {
            return Ok(true);
        }
        if old_hash.as_ref().is_some_and(|old| *old != stored.password) {
            return Ok(false);
        }
        User::set_password(conn, user_id, &hash)?;
        AuthToken::revoke_all(conn, user_id, auth_token, now)?;
        Session::delete_all_of(conn, user_id, session)?;
        if let Keep::Session { id, digest } = keep {
            Session::renew(conn, id, digest)?;
        }
        actor.record(conn, &about_user(Action::SetPassword, user_id), now)?;
        Ok(true)
    };
    db.write(Scope::user(user_id), job).await
}

/// Checks a password that an administrator sets for a user against the password rules.
pub fn parse_password_for(password: &str, user: &User) -> Result<NewPassword, Invalid> {
    parse_new_password(password, user)
}
