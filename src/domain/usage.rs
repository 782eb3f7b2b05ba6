//! The number of LLM tokens that a chat used.

/// The LLM tokens that a chat used. They are not the tokens of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt: the message and the conversation before it.
    pub prompt_tokens: i64,
    /// Tokens of the answer.
    pub completion_tokens: i64,
    /// Whether we estimated the numbers, because the upstream did not report them.
    pub estimated: bool,
}

/// The highest plausible number of tokens. A higher number is treated as missing, and so is a
/// negative one.
const MOST: i64 = 1 << 31;

impl Usage {
    /// Returns the usage that the upstream reported, or `None` if the numbers are implausible and
    /// count as missing. 0 is plausible.
    pub fn reported(prompt_tokens: i64, completion_tokens: i64) -> Option<Usage> {
        let sound = (0..=MOST).contains(&prompt_tokens) && (0..=MOST).contains(&completion_tokens);
        sound.then_some(Usage { prompt_tokens, completion_tokens, estimated: false })
    }

    /// Estimates the usage from the texts of a message and its answer.
    pub fn counted(message: &str, answer: &str) -> Usage {
        let bytes = |text: &str| estimate(i64::try_from(text.len()).unwrap_or(i64::MAX));
        let completion_tokens = bytes(answer);
        Usage { prompt_tokens: bytes(message), completion_tokens, estimated: true }
    }
}

/// Estimates the tokens of a text from its bytes: one for four bytes, as is usual for English,
/// rounded up.
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
