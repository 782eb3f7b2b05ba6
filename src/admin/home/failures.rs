//! Why chats failed in the last 24 hours, and how the upstream does.

use chrono::NaiveDateTime;
use url::form_urlencoded;

use crate::admin::format;
use crate::admin::list::{Cell, Tone};
use crate::models::FailuresByReason;
use crate::models::list::MOST_COUNTED;

/// A reason, how many chats failed by it, and the list of those.
pub(super) struct Failures {
    pub reasons: Vec<(String, String, String)>,
    /// What is to be known of the numbers; empty: nothing.
    pub note: String,
}

impl Failures {
    pub fn new(found: FailuresByReason) -> Failures {
        let reasons = found.reasons.into_iter().map(|(reason, count)| {
            let count = format::tokens(count);
            if reason.is_empty() {
                return ("no reason was stored".to_owned(), count, "/admin/chats/?state=failed".to_owned());
            }
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("state", "failed")
                .append_pair("reason", &reason)
                .finish();
            (reason, count, format!("/admin/chats/?{query}"))
        });
        let note = if found.is_cut {
            format!("More failed: these are the reasons of the latest {}.", format::tokens(MOST_COUNTED + 1))
        } else {
            String::new()
        };
        Failures { reasons: reasons.collect(), note }
    }
}

/// How the upstream does, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamHealth {
    /// Of the circuit breaker: `closed`, `open` or `half-open`.
    pub state: &'static str,
    pub failures_in_a_row: u32,
    /// When, and why.
    pub last_failure: Option<(NaiveDateTime, String)>,
    pub last_success: Option<NaiveDateTime>,
    /// Calls that are being answered.
    pub in_flight: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
}

impl UpstreamHealth {
    pub(super) fn facts(&self) -> Vec<(&'static str, Cell)> {
        let state = match self.state {
            "closed" if self.failures_in_a_row == 0 => Cell::badge("well", Tone::Good),
            "closed" => Cell::badge("failing", Tone::Warning),
            "half-open" => Cell::badge("being tried again", Tone::Warning),
            _ => Cell::badge("given a rest", Tone::Bad),
        };
        let count = |number: usize| Cell::Text(format::tokens(i64::try_from(number).unwrap_or(i64::MAX)));
        let mut facts = vec![
            ("State", state),
            ("Failures in a row", Cell::Text(format::tokens(self.failures_in_a_row.into()))),
            ("Last answer", Cell::time(self.last_success)),
            ("Last failure", Cell::time(self.last_failure.as_ref().map(|(at, _)| *at))),
        ];
        if let Some((_, why)) = &self.last_failure {
            facts.push(("Why", Cell::Text(why.clone())));
        }
        facts.extend([("Calls in flight", count(self.in_flight)), ("Calls waiting", count(self.waiting))]);
        facts
    }
}
