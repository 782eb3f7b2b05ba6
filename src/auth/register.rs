//! Registration, and making superusers.

use std::net::IpAddr;

use super::Auth;
use super::hasher::Requester;
use super::security_log::{LoggedAttempt, Refused};
use crate::audit::{Action, Actor, COMMAND_LINE, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, NewPassword, OperationId, Username};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::metering::{NewAccount, OpenedAccount, open_account};
use crate::models::Change;
use crate::throttle::Lane;

impl Auth {
    /// Makes a user with the opening balance. `username` and `password` are as received, `None` if
    /// the body has no text for them.
    pub async fn register(
        &self,
        from: IpAddr,
        request: RequestNotes,
        username: Option<&str>,
        password: Option<&str>,
    ) -> Result<()> {
        let attempt = LoggedAttempt { what: "registration", from, request };
        match self.try_register(from, username, password).await {
            Ok((id, username)) => {
                attempt.succeeded(id, username.as_str());
                Ok(())
            }
            Err(refused) => Err(attempt.refused(refused)),
        }
    }

    async fn try_register(
        &self,
        from: IpAddr,
        username: Option<&str>,
        password: Option<&str>,
    ) -> Result<(i64, Username), Refused> {
        if !self.rules().registration_open {
            return Err(Error::RegistrationClosed.into());
        }
        self.throttle.check_registration(from).map_err(Error::TooManyRequests)?;
        let (username, password) = parse_account(username, password).map_err(Error::InvalidRegistration)?;
        let new = NewAccount {
            username: username.clone(),
            password_hash: self.hasher.hash(Requester { lane: Lane::Open, from }, password).await?,
            tokens: self.rules().opening_tokens,
            is_superuser: false,
            operation_id: OperationId::generate(),
            now: clock::now(),
        };
        Ok((open(&self.db, new).await?, username))
    }
}

/// A superuser to be made on the command line.
#[derive(Debug)]
pub struct NewSuperuser {
    /// The name, which may not be taken.
    pub username: Username,
    /// The hash of the password.
    pub password_hash: String,
    /// The opening balance, in tokens.
    pub tokens: i64,
}

/// Makes a superuser. Returns the id.
///
/// # Errors
/// [`Error::UsernameTaken`].
pub async fn make_superuser(db: &Db, new: NewSuperuser) -> Result<i64> {
    let account = superuser_account(new.username, new.password_hash, new.tokens);
    opened(db.write(Scope::none(), move |conn| open_superuser(conn, &account)).await)
}

/// Opens the account of a superuser who is made on the command line, and records it, in the
/// caller's transaction.
pub(crate) fn open_superuser(conn: &mut DbConnection, account: &NewAccount) -> Result<OpenedAccount> {
    let opened = open_account(conn, account)?;
    if let OpenedAccount::Opened(id) = opened {
        let name = account.username.as_str();
        let changes = [Change::new("username", "", name), Change::new("superuser", "", "yes")];
        let event = Event { changes: &changes, note: COMMAND_LINE, ..Event::about_user(Action::Add, id) };
        Actor::default().record(conn, &event, account.now)?;
    }
    Ok(opened)
}

/// Returns a new account with all rights.
pub(super) fn superuser_account(username: Username, password_hash: String, tokens: i64) -> NewAccount {
    let operation_id = OperationId::generate();
    NewAccount { username, password_hash, tokens, is_superuser: true, operation_id, now: clock::now() }
}

async fn open(db: &Db, new: NewAccount) -> Result<i64> {
    opened(db.write(Scope::none(), move |conn| Ok(open_account(conn, &new)?)).await)
}

fn opened(outcome: Result<OpenedAccount>) -> Result<i64> {
    match outcome {
        Ok(OpenedAccount::Opened(id) | OpenedAccount::OpenedBefore(id)) => Ok(id),
        Ok(OpenedAccount::NameTaken) => Err(Error::UsernameTaken),
        // Another node took the name between the look-up and the insert.
        Err(error) if error.is_unique_violation() => Err(Error::UsernameTaken),
        Err(error) => Err(error),
    }
}

/// Checks a new name and its password against the rules. `None` is a text that is missing.
///
/// # Errors
/// Returns what is wrong with each of them.
pub fn parse_account(
    username: Option<&str>,
    password: Option<&str>,
) -> Result<(Username, NewPassword), Vec<Invalid>> {
    let missing = |field| Invalid::new(field, "give it as text");
    let username = username.ok_or_else(|| missing("username")).and_then(Username::parse);
    // The other rules for passwords hold whatever the name is.
    let canonical = username.as_ref().map_or("", Username::canonical);
    let password = password.ok_or_else(|| missing("password"));
    let password = password.and_then(|password| NewPassword::parse_for(password, canonical));
    match (username, password) {
        (Ok(username), Ok(password)) => Ok((username, password)),
        (username, password) => Err(username.err().into_iter().chain(password.err()).collect()),
    }
}
