//! Changing a password ends every other way in.

use std::net::IpAddr;

use super::hasher::Place;
use super::password_hash::Verified;
use super::{Auth, CurrentUser};
use crate::administration::{Actor, set_user_password};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, NewPassword, Password};
use crate::error::{Error, Result};
use crate::models::{AuthToken, Session, User};
use crate::throttle::Lane;

impl Auth {
    /// Changes the user's own password, which takes the old one, and ends all other auth tokens.
    pub async fn change_password(
        &self,
        current: CurrentUser,
        from: IpAddr,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<()> {
        let CurrentUser { user, auth_token } = current;
        let hash = self.check_and_hash(&user, from, old, new).await?;
        let changed = set_password(&self.db, user.id, hash, Some(user.password), Some(auth_token.id)).await?;
        if changed { Ok(()) } else { Err(wrong_old_password()) }
    }

    /// The same from the panel, where it ends everything, the session that it comes from, too.
    pub async fn change_own_password(
        &self,
        user: User,
        from: IpAddr,
        actor: Actor,
        old: &str,
        new: &str,
    ) -> Result<()> {
        let hash = self.check_and_hash(&user, from, Some(old), Some(new)).await?;
        let changed = set_user_password(&self.db, &actor, user.id, hash, Some(user.password)).await?;
        if changed { Ok(()) } else { Err(wrong_old_password()) }
    }

    /// Checks the old password and the rules for the new one; answers the new one's hash.
    async fn check_and_hash(
        &self,
        user: &User,
        from: IpAddr,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<String> {
        let account = user.username_canonical.as_str();
        let attempt = self.throttle.begin_login(from, account).await.map_err(Error::TooManyRequests)?;
        let place = Place { lane: Lane::Known, from };
        let old = old.and_then(|old| Password::parse(old).ok()).ok_or_else(wrong_old_password)?;
        let new = new.ok_or_else(|| Invalid::new("new_password", "give it as text"));
        let new = new.and_then(|new| parse_new_password(new, user)).map_err(Error::Invalid)?;
        if self.hasher.verify(place, old, Some(user.password.clone())).await? == Verified::No {
            return Err(wrong_old_password());
        }
        attempt.succeeded();
        Ok(self.hasher.hash(place, new).await?)
    }

    /// Hashes a password that somebody who is signed in sets for another user.
    pub async fn hash_for_another(&self, password: NewPassword, from: IpAddr) -> Result<String> {
        Ok(self.hasher.hash(Place { lane: Lane::Known, from }, password).await?)
    }
}

fn wrong_old_password() -> Error {
    Error::Invalid(Invalid::new("old_password", "it is not this user's password"))
}

/// The rules for new passwords, for a stored user.
pub(crate) fn parse_new_password(password: &str, user: &User) -> Result<NewPassword, Invalid> {
    NewPassword::parse_for(password, &user.username_canonical)
        .map_err(|invalid| Invalid::new("new_password", invalid.reason))
}

/// Stores a hash and ends the user's auth tokens, but for `keep`, and sessions. With `old_hash`, only if that is still the
/// stored one. Answers whether it was done.
pub(crate) async fn set_password(
    db: &Db,
    user_id: i64,
    hash: String,
    old_hash: Option<String>,
    keep: Option<i64>,
) -> Result<bool> {
    let now = clock::now();
    let job = move |conn: &mut DbConnection| {
        let Some(fresh) = User::find(conn, user_id)? else { return Ok(false) };
        // A second run of this job finds its own hash, which nobody else can have made.
        if fresh.password == hash {
            return Ok(true);
        }
        if old_hash.as_ref().is_some_and(|old| *old != fresh.password) {
            return Ok(false);
        }
        User::set_password(conn, user_id, &hash)?;
        AuthToken::revoke_all(conn, user_id, keep, now)?;
        Session::delete_all_of(conn, user_id, None)?;
        Ok(true)
    };
    db.write(Scope::user(user_id), job).await
}
