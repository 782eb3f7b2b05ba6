//! Why chats failed in the last 24 hours, and how the upstream does.

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

/// A reason, how many chats failed by it, and the list of those.
pub(super) struct ReasonLine {
    pub reason: String,
    pub count: String,
    pub href: String,
}

/// Why chats failed.
pub(super) struct Failures {
    pub reasons: Vec<ReasonLine>,
    /// What is to be known of the numbers; empty: nothing.
    pub note: String,
}

impl Failures {
    /// `day` is the one that the last 24 hours began on.
    pub(super) fn new(found: FailuresByReason, day: NaiveDate) -> Failures {
        let since = day.to_string();
        let reasons = found.reasons.into_iter().map(|(reason, count)| {
            let count = format::tokens(count);
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("state", "failed").append_pair("date_from", &since);
            let shown = if reason.is_empty() {
                "no reason was stored".to_owned()
            } else {
                query.append_pair("reason", &reason);
                FailureReason::text_of(&reason).to_owned()
            };
            ReasonLine { reason: shown, count, href: format!("{}?{}", paths::CHATS, query.finish()) }
        });
        let note = if found.is_cut {
            format!("More than {} failed: these are the reasons of the latest.", format::tokens(MOST_COUNTED))
        } else {
            String::new()
        };
        Failures { reasons: reasons.collect(), note }
    }
}

/// How the upstream does, as this node has seen it.
pub(super) fn upstream(health: &Health) -> Vec<Fact> {
    let state = match health.state {
        BreakerState::Closed if health.failures_in_a_row > 0 => Cell::badge("failing", Tone::Warning),
        BreakerState::Closed if health.last_success.is_none() => Cell::badge("not called yet", Tone::Plain),
        BreakerState::Closed => Cell::badge("well", Tone::Good),
        BreakerState::HalfOpen => Cell::badge("being probed", Tone::Warning),
        BreakerState::Open => Cell::badge("down: not called for now", Tone::Bad),
    };
    let count = |number: usize| Cell::Text(format::tokens(i64::try_from(number).unwrap_or(i64::MAX)));
    let mut facts = vec![
        Fact::new("State", state),
        Fact::new("Failures in a row", Cell::Text(format::tokens(health.failures_in_a_row.into()))),
        Fact::new("Last good answer", Cell::time(health.last_success)),
        Fact::new("Last failure", Cell::time(health.last_failure.map(|(at, _)| at))),
    ];
    if !health.resting.is_empty() {
        let models: Vec<String> =
            health.resting.iter().map(|(model, state)| format!("{model} ({})", state.as_str())).collect();
        facts.push(Fact::new("Models that are not called", Cell::Text(models.join(", "))));
    }
    if let Some((_, why)) = health.last_failure {
        facts.push(Fact::new("Why", Cell::Text(why.text().to_owned())));
    }
    facts.extend([
        Fact::new("Calls in flight", count(health.in_flight)),
        Fact::new("Calls waiting", count(health.waiting)),
    ]);
    facts
}
