//! The tokens that a model counts.

/// Tokens of an LLM that a chat took; not those of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    /// Counted by us, since the upstream did not say.
    pub estimated: bool,
}

/// No conversation has as many tokens: a higher number is none, and neither is one below 0.
const MOST: i64 = 1 << 31;

impl Usage {
    /// The upstream's own numbers. `None`: they cannot be true, and count as missing. 0 is 0.
    pub fn reported(prompt_tokens: i64, completion_tokens: i64) -> Option<Usage> {
        let sound = (0..=MOST).contains(&prompt_tokens) && (0..=MOST).contains(&completion_tokens);
        sound.then_some(Usage { prompt_tokens, completion_tokens, estimated: false })
    }

    /// Counted by us, from a message and its answer as texts.
    pub fn counted(message: &str, answer: &str) -> Usage {
        let bytes = |text: &str| estimate(i64::try_from(text.len()).unwrap_or(i64::MAX));
        let completion_tokens = bytes(answer);
        Usage { prompt_tokens: bytes(message), completion_tokens, estimated: true }
    }
}

/// About how many tokens so many bytes of text are: one for four bytes, as is usual for English, rounded up.
pub fn estimate(bytes: i64) -> i64 {
    bytes.max(0).saturating_add(3) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_true_count_as_missing() {
        assert!(Usage::reported(0, 0).is_some());
        for (prompt, completion) in [(-1, 0), (0, -1), (1_000_000_000_000_000_000, 1), (1, i64::MAX)] {
            assert_eq!(Usage::reported(prompt, completion), None);
        }
    }

    #[test]
    fn an_estimate_is_rounded_up() {
        assert_eq!([0, 1, 4, 5].map(estimate), [0, 1, 1, 2]);
    }
}
