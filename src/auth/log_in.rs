//! Log-in and log-out.

use std::net::IpAddr;

use super::auth_tokens::ENDED_TOKENS;
use super::hasher::Place;
use super::password_hash::Verified;
use super::{Auth, CurrentUser};
use crate::clock;
use crate::db::{DbConnection, Scope};
use crate::domain::{LoginName, Password, PlainToken};
use crate::error::{Error, Result};
use crate::models::{AuthToken, NewAuthToken, User};
use crate::throttle::Lane;

/// How many auth tokens made by logins a user has at most; the least recently used one goes.
const LOGIN_TOKENS: i64 = 20;

/// Of how many of the oldest and of the latest users the hashes are looked at.
const HASHES_TO_LEARN_FROM: i64 = 200;

/// A log-in as it came; `None` where the body held no text for it.
#[derive(Debug)]
pub struct LogIn<'a> {
    pub from: IpAddr,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
}

impl Auth {
    /// Checks the password and makes an auth token.
    ///
    /// An unknown name costs the same time as a wrong password. The status is the same, too; whether the text is,
    /// the setting says.
    pub async fn log_in(&self, log_in: LogIn<'_>) -> Result<PlainToken> {
        let name = log_in.username.and_then(|name| LoginName::parse(name).ok());
        let account = name.as_ref().map_or("", LoginName::canonical);
        let account = account.to_owned();
        let attempt = self.throttle.begin_login(log_in.from, &account).await;
        let attempt = attempt.map_err(Error::TooManyRequests)?;
        let place = self.place(Lane::Open, log_in.from, &account);
        let name = name.ok_or_else(|| self.refusal(Error::InvalidUsername))?;
        let found =
            self.db.read(move |conn| Ok(User::find_by_name(conn, name.as_str(), name.canonical())?)).await?;
        let password = log_in.password.and_then(|password| Password::parse(password).ok());
        let verified = self.verify(place, password.clone(), found.as_ref()).await?;
        let Some(user) = found else { return Err(self.refusal(Error::InvalidUsername)) };
        let (Some(password), true) = (password, user.is_active && verified != Verified::No) else {
            log::info!("log-in refused for user {}", user.id);
            return Err(self.refusal(Error::InvalidPassword));
        };
        attempt.succeeded();
        self.throttle.note_sign_in(log_in.from, &account);
        let new_hash = match verified {
            Verified::YesUpgrade => Some(self.hasher.hash(place, password).await?),
            _ => None,
        };
        self.make_login_token(user, new_hash).await
    }

    /// Whose turn a password is: an account that has signed in from the address before does not wait behind strangers.
    pub(super) fn place(&self, lane: Lane, from: IpAddr, account: &str) -> Place {
        let lane = if self.throttle.has_signed_in(from, account) { Lane::Known } else { lane };
        Place { lane, from }
    }

    /// Does the same work whether or not there is a user, or a password that can be right.
    pub(super) async fn verify(
        &self,
        place: Place,
        password: Option<Password>,
        user: Option<&User>,
    ) -> Result<Verified> {
        self.learn_usual_cost().await?;
        let stored = user.filter(|_| password.is_some()).map(|user| user.password.clone());
        let password = match password {
            Some(password) => password,
            None => Password::parse("-").map_err(|_| Error::Internal("a stand-in password".to_owned()))?,
        };
        Ok(self.hasher.verify(place, password, stored).await?)
    }

    /// Looks once at some stored hashes, so that the first unknown name already takes as long as a wrong password.
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

    async fn make_login_token(&self, user: User, new_hash: Option<String>) -> Result<PlainToken> {
        let now = clock::now();
        let logins = self.db.read(move |conn| Ok(AuthToken::count_logins(conn, user.id, now)?)).await?;
        if logins >= LOGIN_TOKENS {
            // One has to go, the least recently used: the uses of the last minute count, too.
            self.write_last_uses().await;
        }
        let plain = PlainToken::generate()?;
        let expires_at = self.rules.auth_token_lifetime.map(|lifetime| now + lifetime);
        let new = NewAuthToken {
            user_id: user.id,
            digest: plain.digest().as_bytes().to_vec(),
            first_characters: plain.first_characters().to_owned(),
            name: None,
            created_at: now,
            expires_at,
        };
        let checked = user.clone();
        let job = move |conn: &mut DbConnection| {
            // The password was checked outside this transaction: it may have been changed since.
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
            return Err(self.refusal(Error::InvalidPassword));
        }
        self.welcome(plain.digest(), &user);
        Ok(plain)
    }

    /// What a failed log-in is told.
    fn refusal(&self, error: Error) -> Error {
        if self.rules.unified_login_errors { Error::InvalidCredentials } else { error }
    }

    /// Ends the auth token that the request came with, or all of the user's.
    pub async fn log_out(&self, current: &CurrentUser, everywhere: bool) -> Result<()> {
        let (user_id, token_id, now) = (current.user.id, current.auth_token.id, clock::now());
        let job = move |conn: &mut DbConnection| {
            if everywhere {
                AuthToken::revoke_all(conn, user_id, None, now)?;
            } else {
                AuthToken::revoke(conn, user_id, token_id, now)?;
            }
            Ok(())
        };
        self.db.write(Scope::user(user_id), job).await
    }
}
