//! What answers a message: the dummy or an upstream. The toll first asks for an answer that is
//! available at once. Otherwise it waits for one, part by part.

mod answer;
mod bounds;
mod catalogue;
mod completion;
mod dummy;
mod embeddings;
mod failure;
mod inputs;
mod label;
mod question;
mod surrogates;
mod upstream;
mod weight;

use std::time::Duration;

pub use answer::{
    Answer, Choice, Delta, FinishReason, MOST_CHOICES, NotAMessage, Piece, Reasoning, ReasoningField,
    Recording, Replay, Segment, StoredAnswer, ToolCall,
};
pub use bounds::AnswerBounds;
pub use catalogue::{Catalogue, ContextBudget, Turn};
pub use completion::Completion;
pub use dummy::Dummy;
pub use embeddings::{Embeddings, MOST_VECTOR_VALUES, bytes_of};
pub use failure::Failure;
pub use inputs::{GivenInputs, Inputs, MOST_INPUTS};
pub use label::Label;
pub use question::{Content, HINTS, Medium, Message, Part, Question, QuestionKind};
pub use upstream::{
    BreakerState, CallMeasures, EmbeddingsStream, Health, ModelHealth, OperatorFault, OutputLimit, Permit,
    PromptMark, ReportedProperties, ResponseStream, Upstream, UpstreamCheck, UpstreamKey, UpstreamSettings,
    http_date,
};

use crate::domain::Usage;

/// The source of answers.
#[derive(Clone, Debug)]
pub enum Responder {
    /// The built-in dummy.
    Dummy(Dummy),
    /// The models of an upstream.
    Upstream(Catalogue),
}

/// The dummy's name, where a model has one.
pub const DUMMY: &str = "dummy";

/// The permission to make one call. The dummy needs none.
pub enum CallPermit {
    /// For the dummy, which limits nothing.
    Dummy,
    /// For a call of the upstream.
    Upstream(Permit),
}

/// An answer that has begun. Dropping it cancels the call.
pub enum AnswerStream {
    /// The dummy's answer, in one part for each choice.
    Dummy(Vec<Piece>),
    /// The answer of an upstream, as text.
    Upstream(Box<ResponseStream>),
    /// The answer of an upstream, as vectors.
    Embeddings(Box<EmbeddingsStream>),
}

impl CallPermit {
    /// Returns a mark that shows, during the call, whether an upstream has the prompt. The dummy
    /// never has it.
    pub fn prompt_mark(&self) -> PromptMark {
        match self {
            CallPermit::Dummy => PromptMark::default(),
            CallPermit::Upstream(permit) => permit.prompt_mark(),
        }
    }
}

impl Responder {
    /// Returns the answer if it takes no waiting. Then the charge and the answer share one
    /// transaction.
    pub fn answer_at_once(&self, message: &str) -> Option<String> {
        match self {
            Responder::Dummy(dummy) => dummy.answer_at_once(message),
            Responder::Upstream(_) => None,
        }
    }

    /// Returns whether answers take no waiting.
    pub fn is_instant(&self) -> bool {
        matches!(self, Responder::Dummy(dummy) if dummy.is_instant())
    }

    /// Waits briefly for a place among the calls in flight.
    ///
    /// # Errors
    /// [`Failure::Busy`], [`Failure::TooManyOfUser`] and [`Failure::CircuitOpen`] if there is none.
    pub async fn admit(&self, user_id: i64, model: &str) -> Result<CallPermit, Failure> {
        match self {
            Responder::Dummy(_) => Ok(CallPermit::Dummy),
            Responder::Upstream(catalogue) => {
                catalogue.upstream.admit(user_id, model).await.map(CallPermit::Upstream)
            }
        }
    }

    /// Asks, and returns when the answer begins. The caller limits the time of this, and of the
    /// rest of the answer, to [`Responder::time_limit`].
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn ask(
        &self,
        permit: CallPermit,
        message: &str,
        question: &Question,
    ) -> Result<AnswerStream, Failure> {
        match (self, permit) {
            (Responder::Upstream(catalogue), CallPermit::Upstream(permit)) => {
                let upstream = &catalogue.upstream;
                match &question.kind {
                    QuestionKind::Embeddings(inputs) => {
                        let stream = upstream.ask_for_embeddings(permit, question, inputs).await?;
                        Ok(AnswerStream::Embeddings(Box::new(stream)))
                    }
                    QuestionKind::Chat | QuestionKind::Completion(_) => {
                        let stream = upstream.ask(permit, question).await?;
                        Ok(AnswerStream::Upstream(Box::new(stream)))
                    }
                }
            }
            (Responder::Dummy(dummy), _) => {
                let mut pieces = dummy.answer(message, question).await?;
                // The last one is returned first.
                pieces.reverse();
                Ok(AnswerStream::Dummy(pieces))
            }
            (Responder::Upstream(_), CallPermit::Dummy) => Err(Failure::Unreachable),
        }
    }

    /// Returns the time limit for a whole answer.
    pub fn time_limit(&self) -> Duration {
        match self {
            Responder::Dummy(dummy) => dummy.time_limit(),
            Responder::Upstream(catalogue) => catalogue.upstream.time_limit(),
        }
    }

    /// Returns the models on offer. The first one answers requests that name no model.
    pub fn models(&self) -> &[String] {
        match self {
            Responder::Dummy(_) => &[],
            Responder::Upstream(catalogue) => &catalogue.models,
        }
    }

    /// Returns the upstream's health, with each model that the settings name, in their order.
    /// `None` for the dummy.
    pub fn health(&self) -> Option<Health> {
        match self {
            Responder::Dummy(_) => None,
            Responder::Upstream(catalogue) => Some(catalogue.health()),
        }
    }
}

impl AnswerStream {
    /// Returns the next part; `None` after the last one.
    ///
    /// # Errors
    /// The reason why the answer ends early.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        match self {
            AnswerStream::Dummy(pieces) => Ok(pieces.pop()),
            AnswerStream::Upstream(stream) => stream.next().await,
            AnswerStream::Embeddings(stream) => stream.next().await,
        }
    }

    /// Returns the usage that the upstream has counted so far. `None` if it has not reported any.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            AnswerStream::Dummy(_) => None,
            AnswerStream::Upstream(stream) => stream.usage(),
            AnswerStream::Embeddings(stream) => stream.usage(),
        }
    }
}
