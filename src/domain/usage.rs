//! The number of LLM tokens that a chat used.

use serde::{Deserialize, Serialize};

/// The LLM tokens that a chat used. They are not the tokens of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt: the message and the conversation before it.
    pub prompt_tokens: i64,
    /// Tokens of the answer.
    pub completion_tokens: i64,
    /// Whether we estimated the numbers, because the upstream did not report them.
    pub estimated: bool,
    /// What the numbers consist of, as far as the upstream says.
    pub details: UsageDetails,
}

/// The parts of a usage that upstreams report separately. They change no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDetails {
    /// Tokens of the prompt that the upstream had in its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// Tokens of the prompt that are sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_audio_tokens: Option<i64>,
    /// Tokens of the answer that the model thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<i64>,
    /// Tokens of the answer that are sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_audio_tokens: Option<i64>,
}

/// The highest plausible number of tokens. A higher number is treated as missing, and so is a
/// negative one.
const MOST: i64 = 1 << 31;

impl Usage {
    /// Returns the usage that the upstream reported, or `None` if the numbers are implausible and
    /// count as missing. 0 is plausible.
    pub fn reported(prompt_tokens: i64, completion_tokens: i64) -> Option<Usage> {
        let sound = Usage::is_plausible(prompt_tokens) && Usage::is_plausible(completion_tokens);
        sound.then_some(Usage { prompt_tokens, completion_tokens, ..Usage::default() })
    }

    /// Returns whether a number of tokens can be true.
    pub fn is_plausible(tokens: i64) -> bool {
        (0..=MOST).contains(&tokens)
    }

    /// Estimates the usage from the texts of a message and its answer.
    pub fn counted(message: &str, answer: &str) -> Usage {
        let bytes = |text: &str| estimate(i64::try_from(text.len()).unwrap_or(i64::MAX));
        let completion_tokens = bytes(answer);
        Usage { prompt_tokens: bytes(message), completion_tokens, estimated: true, ..Usage::default() }
    }
}

/// Estimates the tokens of a text from its bytes: one for four bytes, as is usual for English,
/// rounded up.
pub fn estimate(bytes: i64) -> i64 {
    bytes.max(0).saturating_add(3) / 4
}

/// Estimates the tokens of a text: one for four bytes of ASCII, rounded up, and one for every other
/// character. Few models write two Chinese characters as one token, and many write one as two.
pub fn estimate_of(text: &str) -> i64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    // Each character that is not ASCII has one byte that does not continue another one.
    let others = text.bytes().filter(|byte| *byte >= 0xC0).count();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    estimate(count(ascii)).saturating_add(count(others))
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
    fn each_character_beyond_ascii_is_a_token() {
        for (text, tokens) in [("", 0), ("a", 1), ("abcde", 2), ("你好", 2), ("ab你好cd", 3), ("😀é", 2)]
        {
            assert_eq!(estimate_of(text), tokens, "{text}");
        }
    }

    #[test]
    fn an_estimate_is_rounded_up() {
        assert_eq!([0, 1, 4, 5].map(estimate), [0, 1, 1, 2]);
    }
}
