//! The models of an upstream that are on offer, and how much they may read and write.

use super::question::{Message, Question};
use super::upstream::{Health, ModelHealth, Upstream};
use crate::domain::estimate_of;
use crate::models::{AnswerLimits, Model};

/// An upstream, and the settings for its use.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The connection to the upstream.
    pub upstream: Upstream,
    /// The models on offer, at least one. The first answers `POST /chat/`.
    pub models: Vec<String>,
    /// The text that precedes each message of `POST /chat/`.
    pub system_prompt: Option<String>,
    /// The most tokens of an answer to a client that sets no limit. If it is above `max_output`,
    /// that holds.
    pub default_output: u32,
    /// The most tokens of an answer, whatever the client asks for.
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
    /// Returns the upstream's health, with each model of the settings, in their order.
    pub(super) fn health(&self) -> Health {
        let mut health = self.upstream.health();
        let of_model = |name: &String| {
            let seen = health.models.iter().find(|model| model.name == *name);
            seen.cloned().unwrap_or_else(|| ModelHealth::not_called(name))
        };
        health.models = self.models.iter().map(of_model).collect();
        health
    }

    /// Returns a model with what the upstream reports of it where its own properties are not set. A
    /// reported limit only lowers that of the settings.
    pub fn known(&self, model: &Model) -> Model {
        let reported = self.upstream.reported(&model.name);
        let max_output = reported.max_output.filter(|most| *most < i64::from(self.max_output));
        Model {
            accepts_images: model.accepts_images.or(reported.accepts_images),
            accepts_audio: model.accepts_audio.or(reported.accepts_audio),
            accepts_tools: model.accepts_tools.or(reported.accepts_tools),
            context_tokens: model.context_tokens.or(reported.context_tokens),
            max_output: model.max_output.or(max_output),
            ..model.clone()
        }
    }

    /// Returns the limits of a model's answers: its own ones before those of the settings.
    pub fn answer_limits(&self, model: &Model) -> AnswerLimits {
        let (default, most) = (self.default_output.min(self.max_output), self.max_output);
        model.answer_limits(AnswerLimits { default, most })
    }

    /// Returns the budget for earlier turns: what the message and the system prompt, which the
    /// model always gets, leave of the context. Together with an answer it fits the model's
    /// window.
    pub fn budget(&self, model: &Model, message: &str) -> ContextBudget {
        let system = self.system_prompt.as_deref().map_or(0, tokens);
        let answer = i64::from(self.answer_limits(model).default);
        let window = model.context_tokens.map_or(i64::MAX, |window| window - answer);
        ContextBudget(self.context_tokens.min(window) - tokens(message) - system)
    }

    /// Makes the question of a message and its earlier turns (newest first in `earlier`).
    pub fn question(&self, model: &Model, message: &str, earlier: &[Turn]) -> Question {
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
        let (model, max_output) = (model.name.clone(), self.answer_limits(model).default);
        Question { model, messages, instructions, earlier, max_output, ..Question::default() }
    }
}
