//! Setting and confirming passwords. A new password ends the user's other auth tokens and sessions.

use std::net::IpAddr;

use super::hasher::Requester;
use super::password_hash::Verified;
use super::security_log::{LoggedAttempt, Refused};
use super::{Auth, CurrentUser};
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, NewPassword, Password, SessionSecret, TokenDigest, is_same_password};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::models::{AuthToken, Session, User};
use crate::throttle::Lane;

/// A change of one's own password, as received.
#[derive(Clone)]
pub struct PasswordChange<'a> {
    /// The client's address.
    pub from: IpAddr,
    /// What the log knows of the request.
    pub request: RequestNotes,
    /// The old password. `None` if the body has no text for it.
    pub old: Option<&'a str>,
    /// The new password. `None` if the body has no text for it.
    pub new: Option<&'a str>,
}

/// The credential that stays valid after a password change. All others end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of the user's credentials end.
    Nothing,
    /// The auth token with this id.
    AuthToken(i64),
    /// The session with this id, under a new secret with this digest.
    Session {
        /// The session's id.
        id: i64,
        /// The digest of the session's new secret.
        digest: TokenDigest,
    },
}

impl Auth {
    /// Changes the user's own password after checking the old one, and ends all other auth tokens
    /// and all sessions.
    pub async fn change_password(&self, current: CurrentUser, change: PasswordChange<'_>) -> Result<()> {
        let CurrentUser { user, auth_token } = current;
        self.change_and_log(user, change, Keep::AuthToken(auth_token.id)).await
    }

    /// Changes the user's own password from the panel, and ends all auth tokens and all other
    /// sessions. The current session continues under a new secret, which this returns.
    pub async fn change_own_password(
        &self,
        user: User,
        session_id: i64,
        change: PasswordChange<'_>,
    ) -> Result<SessionSecret> {
        let secret = SessionSecret::generate()?;
        let digest =
            secret.digest().ok_or_else(|| Error::Internal("a secret without a digest".to_owned()))?;
        self.change_and_log(user, change, Keep::Session { id: session_id, digest }).await?;
        Ok(secret)
    }

    async fn change_and_log(&self, user: User, change: PasswordChange<'_>, keep: Keep) -> Result<()> {
        let attempt =
            LoggedAttempt { what: "password change", from: change.from, request: change.request.clone() };
        let (id, username) = (user.id, user.username.clone());
        match self.change(user, change, keep).await {
            Ok(()) => {
                attempt.succeeded(id, &username);
                Ok(())
            }
            Err(refused) => Err(attempt.refused(refused)),
        }
    }

    async fn change(&self, user: User, change: PasswordChange<'_>, keep: Keep) -> Result<(), Refused> {
        let account = user.username_canonical.as_str();
        let attempt =
            self.throttle.begin_login(change.from, account).await.map_err(Error::TooManyRequests)?;
        let requester = Requester { lane: Lane::Known, from: change.from };
        let wrong = || {
            let invalid = Invalid::new("old_password", "it is not this user's password");
            Refused::new(format!("wrong old password of user {}", user.id), Error::Invalid(invalid))
                .of_user(user.id)
        };
        let old = change.old.and_then(|old| Password::parse(old).ok()).ok_or_else(wrong)?;
        let new = change.new.ok_or_else(|| Invalid::new("new_password", "give it as text"));
        let new = new.and_then(|new| parse_new_password(new, &user)).map_err(Error::Invalid)?;
        if self.hasher.verify(requester, old.clone(), Some(user.password.clone())).await? == Verified::No {
            return Err(wrong());
        }
        attempt.succeeded();
        if is_same_password(old.expose(), new.as_ref().expose()) {
            let invalid = Invalid::new("new_password", "That is your current password.");
            return Err(Refused::new(
                format!("the old password of user {}", user.id),
                Error::Invalid(invalid),
            ));
        }
        let hash = self.hasher.hash(requester, new).await?;
        let actor = Actor { user_id: Some(user.id), address: change.from.to_string() };
        let old_hash = Some(user.password.clone());
        let changed = set_password(&self.db, &actor, user.id, hash, old_hash, keep).await?;
        if changed { Ok(()) } else { Err(wrong()) }
    }

    /// Checks that the person at a session knows its user's password. Call it before an action that
    /// could outlive the session.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong password; [`Error::TooManyRequests`].
    pub async fn confirm_password(
        &self,
        user: &User,
        from: IpAddr,
        request: RequestNotes,
        given: &str,
    ) -> Result<()> {
        let attempt = LoggedAttempt { what: "confirmation by password", from, request };
        self.try_confirm(user, from, given).await.map_err(|refused| attempt.refused(refused))
    }

    async fn try_confirm(&self, user: &User, from: IpAddr, given: &str) -> Result<(), Refused> {
        let attempt = self.throttle.begin_login(from, &user.username_canonical).await;
        let attempt = attempt.map_err(Error::TooManyRequests)?;
        let requester = Requester { lane: Lane::Known, from };
        let verified = match Password::parse(given) {
            Ok(password) => self.hasher.verify(requester, password, Some(user.password.clone())).await?,
            Err(_) => Verified::No,
        };
        if verified != Verified::No {
            attempt.succeeded();
            return Ok(());
        }
        let invalid = Invalid::new("own_password", "it is not your password");
        let refused = Refused::new(format!("wrong password of user {}", user.id), Error::Invalid(invalid));
        Err(refused.of_user(user.id))
    }

    /// Returns whether a new password is the one that another user has already. Somebody who sets
    /// passwords learns nothing that way: every other guess replaces the password.
    pub async fn is_password_of(&self, user: &User, password: &NewPassword, from: IpAddr) -> Result<bool> {
        let requester = Requester { lane: Lane::Known, from };
        let stored = Some(user.password.clone());
        Ok(self.hasher.verify(requester, password.as_ref().clone(), stored).await? != Verified::No)
    }

    /// Hashes a password that a signed-in user sets for another user.
    pub async fn hash_for_another(&self, password: NewPassword, from: IpAddr) -> Result<String> {
        Ok(self.hasher.hash(Requester { lane: Lane::Known, from }, password).await?)
    }
}

/// Stores the hash of a new password, ends the user's auth tokens and sessions except `keep`, and
/// records it in the audit log. With `old_hash`, does so only if that is still the stored hash.
/// Returns whether it was done.
pub async fn set_password(
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
        actor.record(conn, &Event::about_user(Action::SetPassword, user_id), now)?;
        Ok(true)
    };
    db.write(Scope::user(user_id), job).await
}

/// Checks a new password of a user against the password rules.
pub fn parse_new_password(password: &str, user: &User) -> Result<NewPassword, Invalid> {
    NewPassword::parse_for(password, &user.username_canonical)
        .map_err(|invalid| Invalid::new("new_password", invalid.reason))
}
