//! A completion: what the model is to continue, without a conversation.

use super::inputs::Inputs;
use crate::domain::estimate;

/// Texts that a model is to continue.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The texts. Each has its own choices.
    pub prompts: Inputs,
    /// The text that comes after what the model writes.
    pub suffix: Option<String>,
}

impl Completion {
    /// Returns an upper bound of the tokens that one choice reads: its prompt and the suffix. All
    /// choices together read no more than this for each.
    pub(super) fn token_bound(&self) -> i64 {
        let prompts = i64::try_from(self.prompts.count()).unwrap_or(i64::MAX).max(1);
        let share = self.prompts.token_bound().saturating_add(prompts - 1) / prompts;
        share.saturating_add(self.suffix_bytes())
    }

    /// Estimates the tokens of all prompts, for when the upstream reports no usage.
    pub(super) fn token_estimate(&self) -> i64 {
        self.prompts.token_estimate().saturating_add(estimate(self.suffix_bytes()))
    }

    fn suffix_bytes(&self) -> i64 {
        let bytes = self.suffix.as_ref().map_or(0, String::len);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::inputs::GivenInputs;
    use super::*;
    use serde_json::{Value, json};

    /// Makes a completion of prompts as a client gives them.
    pub(in crate::responder) fn completion(prompts: Value, suffix: Option<&str>) -> Completion {
        Completion {
            prompts: serde_json::from_value::<GivenInputs>(prompts).unwrap().0.unwrap(),
            suffix: suffix.map(str::to_owned),
        }
    }

    #[test]
    fn all_choices_together_read_no_more_than_the_bound_of_each() {
        let one = completion(json!("hello"), None);
        assert_eq!((one.token_bound(), one.token_estimate()), (13, 2));
        let several = completion(json!(["a", "bc", "d"]), Some("end"));
        assert_eq!((several.token_bound(), several.token_estimate()), (8 + 2 + 3, 2));
        let tokens = completion(json!([[1, 2, 3], [4]]), None);
        assert_eq!((tokens.token_bound(), tokens.token_estimate()), (8 + 2, 4));
    }
}
