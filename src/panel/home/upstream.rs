//! The status of the upstream and of each model, as this node has seen it.

use crate::models::Model;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};
use crate::responder::{BreakerState, Health, ModelHealth};

/// The status of the upstream.
pub(super) struct UpstreamStatus {
    pub facts: Vec<Fact>,
    /// The models on offer.
    pub models: Table,
}

impl UpstreamStatus {
    /// Describes what was seen. Withdrawn models are left out: they are not called.
    pub(super) fn new(health: &Health, stored: &[Model]) -> UpstreamStatus {
        let row = |name: &str| stored.iter().find(|model| model.name == name);
        let is_offered = |seen: &&ModelHealth| !row(&seen.name).is_some_and(|model| model.is_withdrawn);
        let offered: Vec<_> = health.models.iter().filter(is_offered).collect();
        UpstreamStatus {
            facts: facts(health),
            models: Table {
                heads: ["Model", "State", "Last answer", "Last failure", "Why it failed"]
                    .map(TableHead::text)
                    .into(),
                rows: offered.iter().map(|seen| cells(seen, row(&seen.name))).collect(),
                empty: "All models are withdrawn.",
            },
        }
    }
}

fn facts(health: &Health) -> Vec<Fact> {
    let count = |number: usize| Cell::Text(format::tokens(i64::try_from(number).unwrap_or(i64::MAX)));
    let is_new = health.last_success.is_none();
    vec![
        Fact::new("State", state(health.state, health.failures_in_a_row, is_new)),
        Fact::new("Calls in flight", count(health.in_flight)),
        Fact::new("Calls waiting", count(health.waiting)),
    ]
}

fn cells(seen: &ModelHealth, stored: Option<&Model>) -> Vec<Cell> {
    let name = match stored {
        Some(model) => Cell::Main { text: seen.name.clone(), href: paths::model(model.id) },
        None => Cell::Text(seen.name.clone()),
    };
    let why = match (seen.last_failure, seen.failures_in_a_row) {
        (None, _) => Cell::Nothing,
        (Some((_, why)), 0 | 1) => Cell::Text(why.text().to_owned()),
        (Some((_, why)), failures) => {
            Cell::Text(format!("{} ({} in a row)", why.text(), format::tokens(failures.into())))
        }
    };
    vec![
        name,
        state(seen.state, seen.failures_in_a_row, seen.last_success.is_none()),
        Cell::time(seen.last_success),
        Cell::time(seen.last_failure.map(|(at, _)| at)),
        why,
    ]
}

fn state(breaker: BreakerState, failures: u32, is_new: bool) -> Cell {
    match breaker {
        BreakerState::Closed if failures > 0 => Cell::badge("failing", Tone::Warning),
        BreakerState::Closed if is_new => Cell::badge("no answer yet", Tone::Plain),
        BreakerState::Closed => Cell::badge("healthy", Tone::Good),
        BreakerState::HalfOpen => Cell::badge("being probed", Tone::Warning),
        BreakerState::Open => Cell::badge("down: calls are paused", Tone::Bad),
    }
}
