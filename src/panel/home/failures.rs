//! Why chats failed in the last 24 hours, and the upstream's status.

use chrono::NaiveDate;
use url::form_urlencoded;

use crate::domain::FailureReason;
use crate::models::FailuresByReason;
use crate::models::list::MOST_COUNTED;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};
use crate::panel::kit::paths;
use crate::responder::{BreakerState, Health};

/// A reason, the number of chats that failed for it, and the link to them.
pub(super) struct ReasonLine {
    pub reason: String,
    pub count: String,
    pub href: String,
}

/// The reasons of failed chats.
pub(super) struct Failures {
    pub reasons: Vec<ReasonLine>,
    /// A note that not all failures were counted. Empty if they were.
    pub note: String,
}

impl Failures {
    /// Makes the links. `day` is the one on which the last 24 hours began.
    pub(super) fn new(found: FailuresByReason, day: NaiveDate) -> Failures {
        let since = day.to_string();
        let reasons = by_code(found.reasons).into_iter().map(|(reason, count)| {
            let count = format::tokens(count);
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("state", "failed").append_pair("date_from", &since);
            let shown = if reason.is_empty() {
                "no reason recorded".to_owned()
            } else {
                query.append_pair("reason", &reason);
                FailureReason::text_of(&reason).to_owned()
            };
            ReasonLine { reason: shown, count, href: format!("{}?{}", paths::CHATS, query.finish()) }
        });
        let note = if found.is_cut {
            format!(
                "More than {} chats failed. These are the reasons of the latest ones.",
                format::tokens(MOST_COUNTED)
            )
        } else {
            String::new()
        };
        Failures { reasons: reasons.collect(), note }
    }
}

/// Adds up the counts of a reason's code and of its text, which a node of 0.1.0 may still store.
fn by_code(found: Vec<(String, i64)>) -> Vec<(String, i64)> {
    let mut reasons: Vec<(String, i64)> = Vec::new();
    for (stored, count) in found {
        let code = FailureReason::from_code(&stored).map_or(stored, |reason| reason.code().to_owned());
        match reasons.iter_mut().find(|(known, _)| *known == code) {
            Some((_, sum)) => *sum += count,
            None => reasons.push((code, count)),
        }
    }
    reasons
}

/// The upstream's status, as this node has seen it.
pub(super) fn upstream(health: &Health) -> Vec<Fact> {
    let state = match health.state {
        BreakerState::Closed if health.failures_in_a_row > 0 => Cell::badge("failing", Tone::Warning),
        BreakerState::Closed if health.last_success.is_none() => Cell::badge("not called yet", Tone::Plain),
        BreakerState::Closed => Cell::badge("healthy", Tone::Good),
        BreakerState::HalfOpen => Cell::badge("being probed", Tone::Warning),
        BreakerState::Open => Cell::badge("down: calls are paused", Tone::Bad),
    };
    let count = |number: usize| Cell::Text(format::tokens(i64::try_from(number).unwrap_or(i64::MAX)));
    let mut facts = vec![
        Fact::new("State", state),
        Fact::new("Failures in a row", Cell::Text(format::tokens(health.failures_in_a_row.into()))),
        Fact::new("Last success", Cell::time(health.last_success)),
        Fact::new("Last failure", Cell::time(health.last_failure.map(|(at, _)| at))),
    ];
    if !health.resting.is_empty() {
        let models: Vec<String> =
            health.resting.iter().map(|(model, state)| format!("{model} ({})", state.as_str())).collect();
        facts.push(Fact::new("Models with paused calls", Cell::Text(models.join(", "))));
    }
    if let Some((_, why)) = health.last_failure {
        facts.push(Fact::new("Reason", Cell::Text(why.text().to_owned())));
    }
    facts.extend([
        Fact::new("Calls in flight", count(health.in_flight)),
        Fact::new("Calls waiting", count(health.waiting)),
    ]);
    facts
}
