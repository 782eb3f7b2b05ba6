//! The numbers of tokens of a chat, as pages show them.

use crate::models::Chat;
use crate::responder::DUMMY;

/// The tokens that somebody has counted for a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Tokens of the prompt. `None` if they were not counted.
    pub prompt: Option<i64>,
    /// Tokens of the answer. `None` if they were not counted.
    pub answer: Option<i64>,
    /// Whether the numbers are estimates of this server.
    pub is_estimated: bool,
}

/// Returns what was counted. `None` if nothing was: the built-in dummy has no tokens, and what is
/// stored for it is an estimate that leaves out the prompt. Each chat has a prompt, so 0 tokens of
/// it mean that nobody has counted them.
pub(super) fn counted(chat: &Chat) -> Option<Counted> {
    let is_estimated = chat.usage_estimated == Some(true);
    if is_estimated && chat.model == DUMMY {
        return None;
    }
    let prompt = chat.prompt_tokens.filter(|tokens| *tokens > 0);
    let answer = chat.completion_tokens;
    (prompt.is_some() || answer.is_some()).then_some(Counted { prompt, answer, is_estimated })
}
