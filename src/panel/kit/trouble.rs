//! The banner above every page while models of the upstream fail. It comes from the memory of this
//! node, so that no page reads the database for it.

use crate::chat::Toll;
use crate::clock;
use crate::responder::{BreakerState, ModelHealth};

/// The most models that the banner names.
const MOST_NAMED: usize = 3;

/// Models whose calls fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Trouble {
    /// The names of the first few, which the settings list.
    pub models: Vec<String>,
    /// How many more there are.
    pub others: usize,
    /// Whether the server makes no calls of some of them until they recover.
    pub is_paused: bool,
}

impl Trouble {
    /// Returns which models fail. `None` if none does.
    pub(crate) fn of(toll: &Toll) -> Option<Trouble> {
        let now = clock::now();
        let models = toll.upstream_health()?.models;
        Trouble::among(&models.iter().filter(|model| model.is_failing(now)).collect::<Vec<_>>())
    }

    fn among(failing: &[&ModelHealth]) -> Option<Trouble> {
        if failing.is_empty() {
            return None;
        }
        Some(Trouble {
            models: failing.iter().take(MOST_NAMED).map(|model| model.name.clone()).collect(),
            others: failing.len().saturating_sub(MOST_NAMED),
            is_paused: failing.iter().any(|model| model.state != BreakerState::Closed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_the_first_models_and_counts_the_others() {
        assert_eq!(Trouble::among(&[]), None);
        let models: Vec<ModelHealth> = ["a", "b", "c", "d", "e"].map(ModelHealth::not_called).into();
        let trouble = Trouble::among(&models.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            (trouble.models.join(" "), trouble.others, trouble.is_paused),
            ("a b c".to_owned(), 2, false)
        );
    }
}
