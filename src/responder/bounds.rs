//! The limits of an answer, in proportion to the tokens that it may have.

/// Bytes of text for each token of an answer. No text has more, even if each character is a token.
const BYTES_A_TOKEN: usize = 64;

/// Bytes of an event for each token. Some upstreams send a whole answer as one event, with escaped
/// characters.
const EVENT_BYTES_A_TOKEN: usize = 128;

/// Bytes of log probabilities that are kept for each token.
const LOGPROBS_A_TOKEN: usize = 512;

/// Bytes on the wire for each token: a separate event, with the probabilities of twenty other
/// tokens.
const WIRE_A_TOKEN: u64 = 4 << 10;

/// The longest event, however many tokens an answer may have.
const LONGEST_EVENT: usize = 8 << 20;

/// The number of objects, lists and elements in one event, or in an answer that is not streamed.
pub(super) const VALUES_OF_AN_EVENT: usize = 10_000;

/// The limits of one answer, in bytes (`events`: a number). An answer that exceeds them fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerBounds {
    /// The model's output: text, arguments of tool calls, thoughts.
    pub text: usize,
    /// Everything else that is kept, in memory. As JSON it takes less.
    pub rest: usize,
    /// Log probabilities that are kept, in memory.
    pub logprobs: usize,
    /// The longest event, and the longest line.
    pub event: usize,
    /// A part, in memory.
    pub part: usize,
    /// A whole answer of an upstream that does not stream.
    pub whole: usize,
    /// The body of the response on the wire, whatever it contains.
    pub wire: u64,
    /// The number of events.
    pub events: u64,
}

impl AnswerBounds {
    /// Returns the limits of an answer of at most `max_output` tokens.
    pub fn of(max_output: u32) -> AnswerBounds {
        let tokens = usize::try_from(max_output).unwrap_or(usize::MAX);
        let bytes =
            |base_kib: usize, a_token: usize| (base_kib << 10).saturating_add(tokens.saturating_mul(a_token));
        AnswerBounds {
            text: bytes(64, BYTES_A_TOKEN),
            rest: bytes(256, BYTES_A_TOKEN),
            logprobs: bytes(256, LOGPROBS_A_TOKEN).min(LONGEST_EVENT),
            event: bytes(256, EVENT_BYTES_A_TOKEN).min(LONGEST_EVENT),
            part: bytes(512, EVENT_BYTES_A_TOKEN).min(2 * LONGEST_EVENT),
            whole: bytes(1024, EVENT_BYTES_A_TOKEN).min(2 * LONGEST_EVENT),
            wire: (1 << 20) + WIRE_A_TOKEN * u64::from(max_output),
            events: 1000 + 4 * u64::from(max_output),
        }
    }
}
