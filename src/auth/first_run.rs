//! The first superuser, made in the browser by who can read the server's output: a link with a key that works once.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use subtle::ConstantTimeEq;

use super::Auth;
use super::hasher::Place;
use super::register::{parse, superuser_account};
use super::security_log::{Attempt, Refused};
use crate::audit::{Action, Actor, Event};
use crate::db::{DbConnection, Scope};
use crate::domain::{RequestId, SessionSecret, TokenDigest};
use crate::error::{Error, Result};
use crate::metering::{OpenedAccount, open_account};
use crate::models::{Change, User};
use crate::throttle::Lane;

/// The first superuser, as entered in the form.
#[derive(Clone, Copy)]
pub struct FirstSuperuser<'a> {
    pub from: IpAddr,
    pub request: RequestId,
    pub user_agent: &'a str,
    pub username: &'a str,
    pub password: &'a str,
}

/// The key of the link that `serve` printed, if it did: its digest, in memory only, so that a restart ends it.
#[derive(Debug, Default)]
pub struct FirstRun(Mutex<Option<TokenDigest>>);

impl FirstRun {
    /// Makes a key; the one before it ends.
    pub fn make_key(&self) -> Result<SessionSecret> {
        let key = SessionSecret::generate()?;
        *self.key() = key.digest();
        Ok(key)
    }

    /// Whether this is the key, in constant time.
    pub fn fits(&self, presented: &str) -> bool {
        let presented = TokenDigest::of(presented);
        match (*self.key(), presented) {
            (Some(key), Some(presented)) => key.as_bytes().ct_eq(presented.as_bytes()).into(),
            _ => false,
        }
    }

    fn forget(&self) {
        *self.key() = None;
    }

    fn key(&self) -> std::sync::MutexGuard<'_, Option<TokenDigest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auth {
    /// Whether the link with this key still opens its page: there is no superuser.
    pub async fn first_run_is_open(&self, key: &str) -> Result<bool> {
        Ok(self.first_run.fits(key) && !self.db.read(|conn| Ok(User::any_superuser(conn)?)).await?)
    }

    /// Makes the first superuser and signs it in. Of two who try at once, one succeeds.
    ///
    /// # Errors
    /// `NotFound` where the link is used up; `InvalidRegistration` for a name or password that the rules refuse.
    pub async fn make_first_superuser(&self, key: &str, new: FirstSuperuser<'_>) -> Result<SessionSecret> {
        let attempt = Attempt { what: "first superuser", from: new.from, request: new.request };
        match self.try_first_superuser(key, new).await {
            Ok((user_id, username, secret)) => {
                attempt.succeeded(user_id, &username);
                Ok(secret)
            }
            Err(refused) => Err(attempt.refused(refused)),
        }
    }

    async fn try_first_superuser(
        &self,
        key: &str,
        new: FirstSuperuser<'_>,
    ) -> Result<(i64, String, SessionSecret), Refused> {
        let FirstSuperuser { from, user_agent, username, password, .. } = new;
        if !self.first_run_is_open(key).await? {
            return Err(Error::NotFound.into());
        }
        let (username, password) =
            parse(Some(username), Some(password)).map_err(Error::InvalidRegistration)?;
        let hash = self.hasher.hash(Place { lane: Lane::Panel, from }, password).await?;
        let account = superuser_account(username, hash, self.rules.opening_tokens);
        let actor = Actor { user_id: None, address: from.to_string() };
        let job = move |conn: &mut DbConnection| {
            User::lock_first_superuser(conn)?;
            if User::any_superuser(conn)? {
                // An earlier run of this very job may have made it: its hash is nobody else's.
                let own = User::find_by_name(conn, account.username.as_str(), account.username.canonical())?;
                return Ok(own.filter(|user| user.password == account.password_hash).map(Ok));
            }
            match open_account(conn, &account)? {
                OpenedAccount::Opened(id) => {
                    let changes = [
                        Change::new("username", "", account.username.as_str()),
                        Change::new("superuser", "", "yes"),
                    ];
                    let event = Event {
                        changes: &changes,
                        note: "by the first-run link",
                        ..Event::about_user(Action::Add, id)
                    };
                    actor.record(conn, &event, account.now)?;
                    Ok(User::find(conn, id)?.map(Ok))
                }
                OpenedAccount::OpenedBefore(id) => Ok(User::find(conn, id)?.map(Ok)),
                OpenedAccount::NameTaken => Ok(Some(Err(()))),
            }
        };
        let user = match self.db.write(Scope::none(), job).await? {
            Some(Ok(user)) => user,
            Some(Err(())) => return Err(Error::UsernameTaken.into()),
            None => return Err(Error::NotFound.into()),
        };
        self.first_run.forget();
        let (id, username) = (user.id, user.username.clone());
        Ok((id, username, self.begin_session(user, None, from, user_agent, None).await?))
    }
}
