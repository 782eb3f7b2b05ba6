//! What is offered of an upstream: which models, and how much they may read and write.

use serde_json::{Map, Value};

use super::openai::Upstream;
use super::question::{Question, message_of};
use super::usage::estimate;

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

/// What template and brackets take of a model's context for each message.
const A_MESSAGE: i64 = 4;

impl Offer {
    /// A message with what was said before it, newest first in `earlier`: as much of it as the context has room for, so
    /// that the oldest is dropped first. The message itself is always there.
    pub fn question(&self, model: &str, message: &str, earlier: &[(String, Option<String>)]) -> Question {
        let cost = |text: &str| A_MESSAGE + estimate(i64::try_from(text.len()).unwrap_or(i64::MAX));
        let system = self.system_prompt.as_deref();
        let mut left = self.context_tokens - cost(message) - system.map_or(0, cost);
        let mut turns = Vec::new();
        for (said, answer) in earlier {
            let answer = answer.as_deref().unwrap_or_default();
            left -= cost(said) + cost(answer);
            if left < 0 {
                break;
            }
            turns.push((said, answer));
        }
        let mut messages: Vec<Value> =
            system.map(|prompt| message_of("system", prompt)).into_iter().collect();
        for (said, answer) in turns.into_iter().rev() {
            messages.push(message_of("user", said));
            messages.push(message_of("assistant", answer));
        }
        messages.push(message_of("user", message));
        Question { model: model.to_owned(), messages, max_output: self.max_output, options: Map::new() }
    }
}
