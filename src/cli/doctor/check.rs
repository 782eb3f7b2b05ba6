//! The result of one check.

use std::fmt;

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// It works, but not as well or as safely as it should.
    Warning,
    /// The server does not start, loses data, or cannot answer.
    Failure,
    /// It does not apply, or could not be checked.
    Skipped,
}

/// What was checked, what was found, and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    found: String,
    advice: Option<String>,
}

impl Check {
    /// Makes a check that ended in this state.
    pub(super) fn new(
        name: &'static str,
        state: State,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        Check { name, state, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, state: State::Ok, found: found.into(), advice: None }
    }

    pub(super) fn skipped(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, state: State::Skipped, found: found.into(), advice: None }
    }

    pub(super) fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check::new(name, State::Warning, found, advice)
    }

    pub(super) fn failure(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check::new(name, State::Failure, found, advice)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "WARNING",
            State::Failure => "FAILURE",
            State::Skipped => "skipped",
        };
        write!(f, "{state:<8} {:<13} {}", self.name, self.found)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{:<22} -> {advice}", ""),
            None => Ok(()),
        }
    }
}
