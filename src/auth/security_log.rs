//! Logs log-ins, sign-ins, registrations and password changes: one line for each attempt, with the
//! id that its client has in `X-Request-Id`.
//!
//! A name is logged only once it has proved to be the user's own. A name that was merely typed is
//! never logged, because people type passwords into the wrong field.

use std::fmt;
use std::net::IpAddr;

use crate::error::Error;
use crate::logging::RequestNotes;

/// The number of characters of a name in the log. Imported names can be longer.
const NAME_LENGTH: usize = 100;

/// The attempted action, for the log.
#[derive(Clone, Debug)]
pub(super) struct LoggedAttempt {
    /// The beginning of the line.
    pub what: &'static str,
    /// The client's address.
    pub from: IpAddr,
    /// The request.
    pub request: RequestNotes,
}

/// Why an attempt failed: one text for the log, and one for the client.
#[derive(Debug)]
pub(super) struct Refused {
    why: String,
    error: Error,
    user_id: Option<i64>,
}

impl Refused {
    /// Makes a refusal. `why` must not contain anything that the client sent.
    pub(super) fn new(why: impl Into<String>, error: Error) -> Refused {
        Refused { why: why.into(), error, user_id: None }
    }

    /// Names the user whose credentials were wrong.
    pub(super) fn of_user(self, user_id: i64) -> Refused {
        Refused { user_id: Some(user_id), ..self }
    }

    /// Returns the user whose credentials were wrong, if there is such a user.
    pub(super) fn user_id(&self) -> Option<i64> {
        self.user_id
    }

    /// Whether a name or a password was wrong.
    pub(super) fn is_for_credentials(&self) -> bool {
        matches!(self.error, Error::InvalidCredentials)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        let why = match &error {
            Error::TooManyRequests(_) => "too many attempts",
            Error::Busy(_) => "the server is too busy",
            Error::Invalid(_) | Error::InvalidRegistration(_) => "the rules for names and passwords",
            Error::UsernameTaken => "the name is taken",
            Error::RegistrationClosed => "registration is closed",
            Error::NotFound => "the link is used up or wrong",
            _ => "not confirmed",
        };
        Refused::new(why, error)
    }
}

impl From<crate::domain::NoRandomness> for Refused {
    fn from(error: crate::domain::NoRandomness) -> Refused {
        Error::from(error).into()
    }
}

impl From<super::password_hash::HashError> for Refused {
    fn from(error: super::password_hash::HashError) -> Refused {
        // This text says nothing about the password.
        Refused::new(error.to_string(), error.into())
    }
}

impl LoggedAttempt {
    /// Logs a success, with the user's name.
    pub(super) fn succeeded(&self, user_id: i64, username: &str) {
        let LoggedAttempt { what, from, request } = self;
        request.set_user(user_id);
        let (request, name) = (request.id(), Quoted(username));
        log::info!(
            request_id = request, user_id = user_id, from:% = from;
            "{what}: user {user_id} {name}, from {from}, request {request}"
        );
    }

    /// Logs the reason and returns the error for the client.
    pub(super) fn refused(&self, refused: Refused) -> Error {
        let LoggedAttempt { what, from, request } = self;
        let (request, why) = (request.id(), &refused.why);
        log::info!(
            request_id = request, user_id = refused.user_id, reason = refused.error.slug(), from:% = from;
            "{what} refused: {why}, from {from}, request {request}"
        );
        refused.error
    }
}

/// A name, quoted so that it can neither end the line nor imitate another name.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(NAME_LENGTH) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_line_or_hide_its_end() {
        let forged = "ada\n2026-01-01 INFO log-in: user 1 \"root\"\r\u{202e}\u{1b}[31m\u{2028}";
        let shown = Quoted(forged).to_string();
        assert!(shown.chars().all(|c| !c.is_control() && !"\u{202e}\u{2028}".contains(c)), "{shown}");
        assert_eq!(Quoted("a\"b").to_string(), r#""a\"b""#);
        assert_eq!(Quoted(&"x".repeat(5_000)).to_string().chars().count(), NAME_LENGTH + 3);
    }
}
