//! What answers a message. The toll asks for an answer that is there at once, and else waits for one.

mod answer;
mod dummy;
mod failure;
mod openai;
mod question;
mod usage;

use std::time::Duration;

pub use answer::{Answer, Piece};
pub use dummy::Dummy;
pub use failure::{Failure, Reason};
pub use openai::{Answering, BreakerState, Health, Permit, Upstream, UpstreamKey, UpstreamSettings};
pub use question::{Question, message_of};
pub use usage::{Usage, estimate};

/// What answers messages. An upstream LLM will be another variant.
#[derive(Clone, Debug)]
pub enum Responder {
    Dummy(Dummy),
}

impl Responder {
    /// The answer, where it takes no waiting: then the charge and the answer share one transaction.
    pub fn answer_at_once(&self, message: &str) -> Option<String> {
        match self {
            Responder::Dummy(dummy) => dummy.answer_at_once(message),
        }
    }

    /// The answer. Whoever calls this bounds it by [`Responder::time_limit`].
    pub async fn answer(&self, message: &str) -> Result<String, Reason> {
        match self {
            Responder::Dummy(dummy) => dummy.answer(message).await,
        }
    }

    /// What is stored with the chat as its model.
    pub fn model(&self) -> &'static str {
        match self {
            Responder::Dummy(_) => "dummy",
        }
    }

    /// How long an answer may take in all.
    pub fn time_limit(&self) -> Duration {
        match self {
            Responder::Dummy(dummy) => dummy.time_limit(),
        }
    }
}
