//! Log-in and log-out.

use std::net::IpAddr;

use super::auth_tokens::ENDED_TOKENS;
use super::hasher::Requester;
use super::password_hash::Verified;
use super::security_log::{LoggedAttempt, Refused};
use super::{Auth, CurrentUser};
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{DbConnection, Scope};
use crate::domain::{LoginName, Password, PlainToken};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::models::{AuthToken, Change, NewAuthToken, User};
use crate::throttle::Lane;

/// The most auth tokens made by logins that a user has. A further login ends the least recently
/// used one.
const LOGIN_TOKENS: i64 = 20;

/// The number of oldest users, and of latest users, whose hashes are sampled.
const HASHES_TO_LEARN_FROM: i64 = 200;

/// A log-in, as received.
pub struct LogIn<'a> {
    /// The client's address.
    pub from: IpAddr,
    /// What the log knows of the request.
    pub request: RequestNotes,
    /// The username. `None` if the body has no text for it.
    pub username: Option<&'a str>,
    /// The password. `None` if the body has no text for it.
    pub password: Option<&'a str>,
}

impl Auth {
    /// Checks the password and makes an auth token.
    ///
    /// An unknown name takes as long as a wrong password. Both get the same status. The setting
    /// `--login-errors` says whether both get the same text.
    pub async fn log_in(&self, log_in: LogIn<'_>) -> Result<PlainToken> {
        let attempt = LoggedAttempt { what: "log-in", from: log_in.from, request: log_in.request.clone() };
        match self.try_log_in(log_in).await {
            Ok((user_id, username, token)) => {
                attempt.succeeded(user_id, &username);
                Ok(token)
            }
            Err(refused) => Err(attempt.refused(refused)),
        }
    }

    async fn try_log_in(&self, log_in: LogIn<'_>) -> Result<(i64, String, PlainToken), Refused> {
        let name = log_in.username.and_then(|name| LoginName::parse(name).ok());
        let account = name.as_ref().map_or("", LoginName::canonical);
        let account = account.to_owned();
        let attempt = self.throttle.begin_login(log_in.from, &account).await;
        let attempt = attempt.map_err(Error::TooManyRequests)?;
        let requester = self.requester(Lane::Open, log_in.from, &account);
        let unknown = |why: &str| Refused::new(why, self.refusal(Error::InvalidUsername));
        let wrong = |why: String| Refused::new(why, self.refusal(Error::InvalidPassword));
        let name = name.ok_or_else(|| unknown("no readable name"))?;
        let found = self.db.read_few(move |conn| Ok(User::find_by_login_name(conn, &name)?)).await?;
        let password = log_in.password.and_then(|password| Password::parse(password).ok());
        let verified = self.verify(requester, password.clone(), found.as_ref()).await?;
        let Some(user) = found else { return Err(unknown("no such user")) };
        let Some(password) = password.filter(|_| verified != Verified::No) else {
            return Err(wrong(format!("wrong password of user {}", user.id)).of_user(user.id));
        };
        if !user.is_active {
            return Err(wrong(format!("user {} is deactivated", user.id)).of_user(user.id));
        }
        attempt.succeeded();
        self.throttle.note_sign_in(log_in.from, &account);
        let new_hash = match verified {
            Verified::YesUpgrade => Some(self.hasher.hash(requester, password).await?),
            _ => None,
        };
        let (id, username) = (user.id, user.username.clone());
        match self.make_login_token(user, new_hash).await? {
            Some(token) => Ok((id, username, token)),
            None => Err(wrong(format!("user {id} was changed meanwhile")).of_user(id)),
        }
    }

    /// Returns who asks for a password check. An account that has signed in from the
    /// address before does not wait behind strangers.
    pub(super) fn requester(&self, lane: Lane, from: IpAddr, account: &str) -> Requester {
        let lane = if self.throttle.has_signed_in(from, account) { Lane::Known } else { lane };
        Requester { lane, from }
    }

    /// Verifies a password. It does the same work whether or not there is a user with a usable
    /// password.
    pub(super) async fn verify(
        &self,
        requester: Requester,
        password: Option<Password>,
        user: Option<&User>,
    ) -> Result<Verified> {
        self.learn_usual_cost().await?;
        let stored = user.filter(|_| password.is_some()).map(|user| user.password.clone());
        let password = match password {
            Some(password) => password,
            None => Password::parse("-").map_err(|_| Error::Internal("a stand-in password".to_owned()))?,
        };
        Ok(self.hasher.verify(requester, password, stored).await?)
    }

    /// Samples some stored hashes once, so that even the first unknown name takes as long as a
    /// wrong password.
    async fn learn_usual_cost(&self) -> Result<()> {
        let learn = async || {
            let stored =
                self.db.read(|conn| Ok(User::some_password_hashes(conn, HASHES_TO_LEARN_FROM)?)).await?;
            stored.iter().for_each(|stored| self.hasher.usual_cost().learn(stored));
            Ok::<(), Error>(())
        };
        self.usual_cost_learnt.get_or_try_init(learn).await?;
        Ok(())
    }

    /// Makes an auth token for a user whose password was just checked. Returns `None` if the user
    /// was deactivated, or the password changed, after the check.
    async fn make_login_token(&self, user: User, new_hash: Option<String>) -> Result<Option<PlainToken>> {
        let now = clock::now();
        let logins = self.db.read(move |conn| Ok(AuthToken::count_logins(conn, user.id, now)?)).await?;
        if logins >= LOGIN_TOKENS {
            // A further login ends the least recently used auth token, so the uses of the last
            // minute must be written first.
            self.write_last_uses().await;
        }
        let plain = PlainToken::generate()?;
        let expires_at = self.rules().auth_token_lifetime.map(|lifetime| now + lifetime);
        let new = NewAuthToken {
            user_id: user.id,
            digest: plain.digest().as_bytes().to_vec(),
            first_characters: plain.first_characters().to_owned(),
            name: None,
            created_at: now,
            expires_at,
            operation_id: None,
            fingerprint: None,
        };
        let checked = user.clone();
        let job = move |conn: &mut DbConnection| {
            // The password was checked outside this transaction and may have been changed since.
            let user = &checked;
            let fresh = User::find(conn, user.id)?;
            let unchanged = fresh.is_some_and(|fresh| {
                fresh.is_active
                    && (fresh.password == user.password || Some(&fresh.password) == new_hash.as_ref())
            });
            if !unchanged {
                return Ok(false);
            }
            if let Some(new_hash) = &new_hash {
                User::upgrade_password(conn, user.id, &user.password, new_hash)?;
            }
            User::set_last_login(conn, user.id, now)?;
            let made = new.insert(conn)?;
            AuthToken::prune_logins(conn, user.id, made.id, LOGIN_TOKENS, now)?;
            AuthToken::prune_ended(conn, user.id, ENDED_TOKENS, now)?;
            Ok(true)
        };
        let made = self.db.write(Scope::user(user.id), job).await?;
        if !made {
            return Ok(None);
        }
        self.welcome(plain.digest(), &user);
        Ok(Some(plain))
    }

    /// Returns the error for a failed log-in, unified if the setting says so.
    fn refusal(&self, error: Error) -> Error {
        if self.rules().unified_login_errors { Error::InvalidCredentials } else { error }
    }

    /// Ends the auth token of the request, or all of the user's. The audit log records the latter.
    pub async fn log_out(&self, current: &CurrentUser, from: IpAddr, everywhere: bool) -> Result<()> {
        let (user_id, token_id, now) = (current.user.id, current.auth_token.id, clock::now());
        let actor = Actor { user_id: Some(user_id), address: from.to_string() };
        let job = move |conn: &mut DbConnection| {
            if !everywhere {
                AuthToken::revoke(conn, user_id, token_id, now)?;
                return Ok(());
            }
            let ended = AuthToken::revoke_all(conn, user_id, None, now)?;
            // A second run of this job finds nothing left to end.
            if ended > 0 {
                let changes = [Change::new("auth_tokens_revoked", "", ended)];
                let event =
                    Event { changes: &changes, ..Event::about_user(Action::LogOutEverywhere, user_id) };
                actor.record(conn, &event, now)?;
            }
            Ok(())
        };
        self.db.write(Scope::user(user_id), job).await
    }
}
