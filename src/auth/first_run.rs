//! The first superuser, made in the browser. The server prints a link with a key that works once,
//! so only those who can read its output can open it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use subtle::ConstantTimeEq;

use super::Auth;
use super::hasher::Requester;
use super::register::{parse_account, superuser_account};
use super::security_log::{LoggedAttempt, Refused};
use crate::audit::{Action, Actor, Event};
use crate::db::{DbConnection, Scope};
use crate::domain::{SessionSecret, TokenDigest};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::metering::{OpenedAccount, open_account};
use crate::models::{Change, User};
use crate::throttle::Lane;

/// The first superuser, as entered in the form.
#[derive(Clone)]
pub struct FirstSuperuser<'a> {
    /// The client's address.
    pub from: IpAddr,
    /// What the log knows of the request.
    pub request: RequestNotes,
    /// The browser's name, for the list of sessions.
    pub user_agent: &'a str,
    /// The username, as entered.
    pub username: &'a str,
    /// The password, as entered.
    pub password: &'a str,
}

/// The key of the link that `serve` printed, if it did. Only its digest is kept, and only in
/// memory, so that it ends with the process.
#[derive(Debug, Default)]
pub struct FirstRun(Mutex<Option<TokenDigest>>);

impl FirstRun {
    /// Makes a key. An earlier one no longer works.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn make_key(&self) -> Result<SessionSecret> {
        let key = SessionSecret::generate()?;
        *self.key() = key.digest();
        Ok(key)
    }

    /// Returns whether `presented` is the key. Takes constant time.
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
    /// Returns whether the link with this key is valid, and there is no superuser yet.
    pub async fn first_run_is_open(&self, key: &str) -> Result<bool> {
        Ok(self.first_run.fits(key) && !self.db.read(|conn| Ok(User::any_superuser(conn)?)).await?)
    }

    /// Makes the first superuser and signs them in. If two try at once, one succeeds.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the link was used. [`Error::InvalidRegistration`] if the name or the
    /// password breaks the rules.
    pub async fn make_first_superuser(&self, key: &str, new: FirstSuperuser<'_>) -> Result<SessionSecret> {
        let attempt = LoggedAttempt { what: "first superuser", from: new.from, request: new.request.clone() };
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
            parse_account(Some(username), Some(password)).map_err(Error::InvalidRegistration)?;
        let hash = self.hasher.hash(Requester { lane: Lane::Panel, from }, password).await?;
        let account = superuser_account(username, hash, self.rules().opening_tokens);
        let actor = Actor { user_id: None, address: from.to_string() };
        let job = move |conn: &mut DbConnection| {
            User::lock_first_superuser(conn)?;
            if User::any_superuser(conn)? {
                // An earlier run of this job may have made the user. Nobody else has this hash.
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
        let made = match self.db.write(Scope::none(), job).await {
            // Somebody registered with the name, or with one that looks like it, at the same time.
            Err(error) if error.is_unique_violation() => return Err(Error::UsernameTaken.into()),
            outcome => outcome?,
        };
        let user = match made {
            Some(Ok(user)) => user,
            Some(Err(())) => return Err(Error::UsernameTaken.into()),
            None => return Err(Error::NotFound.into()),
        };
        self.first_run.forget();
        let (id, username) = (user.id, user.username.clone());
        Ok((id, username, self.begin_session(user, None, from, user_agent, None).await?))
    }
}
