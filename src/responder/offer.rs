//! What is offered of an upstream: which models, and how much they may read and write.

use serde_json::{Map, Value};

use super::openai::Upstream;
use super::question::{Question, message_of};
use crate::domain::estimate;

/// An upstream with what the settings say about its use.
#[derive(Clone, Debug)]
pub struct Offer {
    pub upstream: Upstream,
    /// At least one; the first answers `POST /chat/`.
    pub models: Vec<String>,
    /// Stands before each message of `POST /chat/`.
    pub system_prompt: Option<String>,
    /// The most tokens of an answer.
    pub max_output: u32,
    /// About how many tokens a conversation may have as a model's context.
    pub context_tokens: i64,
}

/// A message of a conversation with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub said: String,
    pub answer: String,
}

/// What is left of a model's context, in tokens.
#[derive(Clone, Copy, Debug)]
pub struct Room(i64);

/// What template and brackets take of a model's context for each message.
const A_MESSAGE: i64 = 4;

fn tokens(text: &str) -> i64 {
    A_MESSAGE + estimate(i64::try_from(text.len()).unwrap_or(i64::MAX))
}

impl Room {
    /// Whether there is room for an earlier message with its answer; then it is taken.
    pub fn takes(&mut self, earlier: &Earlier) -> bool {
        self.0 -= tokens(&earlier.said) + tokens(&earlier.answer);
        self.0 >= 0
    }
}

impl Offer {
    /// The room beside a message and the system's prompt, which are told in any case.
    pub fn room(&self, message: &str) -> Room {
        let system = self.system_prompt.as_deref().map_or(0, tokens);
        Room(self.context_tokens - tokens(message) - system)
    }

    /// A message with what was said before it, newest first in `earlier`.
    pub fn question(&self, model: &str, message: &str, earlier: &[Earlier]) -> Question {
        let system = self.system_prompt.as_deref();
        let mut messages: Vec<Value> =
            system.map(|prompt| message_of("system", prompt)).into_iter().collect();
        for Earlier { said, answer } in earlier.iter().rev() {
            messages.push(message_of("user", said));
            messages.push(message_of("assistant", answer));
        }
        messages.push(message_of("user", message));
        Question { model: model.to_owned(), messages, max_output: self.max_output, options: Map::new() }
    }
}
