//! The models of an upstream that are on offer, and how much they may read and write.

use super::question::{Message, Question};
use super::upstream::Upstream;
use crate::domain::estimate_of;

/// An upstream, and the settings for its use.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The connection to the upstream.
    pub upstream: Upstream,
    /// The models on offer, at least one. The first answers `POST /chat/`.
    pub models: Vec<String>,
    /// The text that precedes each message of `POST /chat/`.
    pub system_prompt: Option<String>,
    /// The most tokens of an answer.
    pub max_output: u32,
    /// About how many tokens of a conversation the model gets with each message.
    pub context_tokens: i64,
}

/// An earlier turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The user's message.
    pub said: String,
    /// The model's answer.
    pub answer: String,
}

/// The tokens of a model's context that are still free.
#[derive(Clone, Copy, Debug)]
pub struct ContextBudget(i64);

/// The tokens that a model's template adds for each message.
const A_MESSAGE: i64 = 4;

fn tokens(text: &str) -> i64 {
    A_MESSAGE + estimate_of(text)
}

impl ContextBudget {
    /// Spends the tokens that an earlier turn takes. Returns whether there were enough.
    pub fn take(&mut self, turn: &Turn) -> bool {
        self.0 -= tokens(&turn.said) + tokens(&turn.answer);
        self.0 >= 0
    }
}

impl Catalogue {
    /// Returns the budget for earlier turns: what the message and the system prompt, which the
    /// model always gets, leave of the context.
    pub fn budget(&self, message: &str) -> ContextBudget {
        let system = self.system_prompt.as_deref().map_or(0, tokens);
        ContextBudget(self.context_tokens - tokens(message) - system)
    }

    /// Makes the question of a message and its earlier turns (newest first in `earlier`).
    pub fn question(&self, model: &str, message: &str, earlier: &[Turn]) -> Question {
        let system = self.system_prompt.as_deref();
        let mut messages: Vec<Message> =
            system.map(|prompt| Message::of_text("system", prompt)).into_iter().collect();
        let instructions = messages.len();
        for Turn { said, answer } in earlier.iter().rev() {
            messages.push(Message::of_text("user", said));
            messages.push(Message::of_text("assistant", answer));
        }
        let earlier = messages.len() - instructions;
        messages.push(Message::of_text("user", message));
        let (model, max_output) = (model.to_owned(), self.max_output);
        Question { model, messages, instructions, earlier, max_output, ..Question::default() }
    }
}
