//! What has arrived of an answer, and its cost: the rows of the charge matrix (`docs/charges.md`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;

use super::receipt::Receipt;
use super::stream::Client;
use crate::domain::{FailureReason, Usage};
use crate::error::{Error, Result};
use crate::metering::{Arrived, Ended, Ending, KeptEmbeddings, Price};
use crate::responder::{
    Answer, Choice, Embeddings, Failure, FinishReason, Piece, PromptMark, Question, Recording,
};

/// Embeddings that take more than this, in bytes, are not stored.
const MOST_KEPT_EMBEDDINGS: usize = 256 << 10;

/// How the answer ended, as its task saw it.
#[derive(Clone, Copy)]
pub(super) enum End {
    Finished,
    Left,
    Failed(Failure),
}

/// What has arrived of an answer.
#[derive(Default)]
pub(super) struct Transcript {
    /// The answer so far.
    pub answer: Answer,
    /// The parts as they were sent. `None` if nobody can ask for them again.
    pub recording: Option<Recording>,
    /// The usage that the upstream has reported so far.
    pub usage: Option<Usage>,
    /// When the first part arrived.
    pub first_byte_at: Option<NaiveDateTime>,
    /// The estimated tokens of a prompt that was shortened. `None` if it was not.
    pub prompt_estimate: Option<i64>,
    /// Whether a retry under the key of the request is to get the answer.
    pub has_key: bool,
    /// Whether the upstream has the prompt.
    pub prompt: PromptMark,
    /// How long the client has delayed the answer, not counting the part that is being sent now.
    pub held_up: Duration,
    /// When sending the present part began. `None` if no part is being sent.
    pub sending_since: Option<Instant>,
}

/// The outcome of a chat.
pub(super) struct Outcome {
    /// How the hold ends.
    pub ending: Ending,
    /// The usage that is charged and stored.
    pub usage: Usage,
    /// The final cost, if the chat is not refunded.
    pub cost: i64,
}

impl Outcome {
    /// Returns whether the answer, or the part of it that arrived, is paid for.
    pub(super) fn is_paid(&self) -> bool {
        let has_some = |arrived: &Arrived| arrived.text.is_some() || arrived.extras.is_some();
        match &self.ending {
            Ending::Complete { .. } => true,
            Ending::Cancelled { arrived, .. } => has_some(arrived),
            Ending::Failed { arrived, settled, .. } => settled.is_some() && has_some(arrived),
            Ending::LeftEarly | Ending::Released { .. } => false,
        }
    }
}

impl Transcript {
    /// Returns the usage that the upstream counted, or an estimate. A count before the end is not
    /// final: then the estimate of what arrived is used, if it is higher.
    fn used(&self, question: &Question, end: End) -> Usage {
        let counted = self.answer.tokens_estimate();
        match (self.usage, end) {
            (Some(usage), End::Finished | End::Failed(Failure::EmptyAnswer)) => usage,
            (Some(usage), _) => {
                let estimated = counted > usage.completion_tokens;
                Usage { completion_tokens: usage.completion_tokens.max(counted), estimated, ..usage }
            }
            (None, _) => Usage {
                prompt_tokens: self.prompt_estimate.unwrap_or_else(|| question.prompt_estimate()),
                completion_tokens: counted,
                estimated: true,
                ..Usage::default()
            },
        }
    }

    /// Sends a part to the client, and notes how long it takes. Returns whether the client is still
    /// connected.
    pub(super) async fn pass_on(&mut self, piece: Piece, client: &Client) -> bool {
        // Only a stream has parts to wait for.
        if !client.is_streaming() {
            return true;
        }
        let since = Instant::now();
        self.sending_since = Some(since);
        if let Some(recording) = &mut self.recording {
            recording.add(&piece);
        }
        let is_there = client.send(piece).await;
        self.sending_since = None;
        self.held_up += since.elapsed();
        is_there
    }

    /// Returns the number of choices that are an answer. Vectors count as one.
    fn answered(&self) -> u32 {
        if self.answer.embeddings().is_some() {
            return 1;
        }
        let answered = self.answer.choices().iter().filter(|choice| self.is_answered(choice)).count();
        u32::try_from(answered).unwrap_or(u32::MAX)
    }

    /// Returns whether a choice is an answer. One that reached its limit while the model was
    /// thinking is: the limit was the client's.
    fn is_answered(&self, choice: &Choice) -> bool {
        let has_thought =
            || choice.has_reasoning() || self.usage.is_some_and(|usage| usage.completion_tokens > 0);
        choice.has_output() || (choice.finish_reason == Some(FinishReason::Length) && has_thought())
    }

    /// Returns how an answer ends that its upstream has ended well: if nothing was written, it has
    /// failed.
    pub(super) fn end(&self) -> End {
        if self.answered() > 0 { End::Finished } else { End::Failed(Failure::EmptyAnswer) }
    }

    /// Returns whether the client used up most of this time. Otherwise a slow reader would get the
    /// answer for free.
    pub(super) fn was_held_up(&self, limit: Duration) -> bool {
        let now = self.sending_since.map_or(Duration::ZERO, |since| since.elapsed());
        (self.held_up + now) * 2 >= limit
    }

    /// Returns what is stored of the answer besides its text.
    fn extras(&self, usage: Usage) -> Option<String> {
        let extras = self.answer.extras(usage.details);
        match &self.recording {
            Some(recording) => recording.add_to(extras),
            None => extras,
        }
    }

    /// Maps the outcome to its row in the charge matrix. `held` is the amount that was taken.
    pub(super) fn outcome(&self, question: &Question, price: Price, held: i64, end: End) -> Outcome {
        let usage = self.used(question, end);
        let has_begun = self.answer.has_begun();
        let is_stored = has_begun || matches!(end, End::Finished);
        let arrived = Arrived {
            text: self.answer.text().filter(|_| is_stored).map(str::to_owned),
            extras: self.extras(usage).filter(|_| is_stored),
            usage: Some(usage),
            first_byte_at: self.first_byte_at,
            embeddings: self.answer.embeddings().filter(|_| self.has_key).map(|made| kept(made)),
        };
        let wanted = question.choices;
        let answered = match end {
            End::Finished => self.answered().clamp(1, wanted),
            _ => wanted,
        };
        let cost = price.settled(usage, answered, wanted);
        // Nothing was written, even if the upstream counted output.
        let prompt_cost = price.settled(Usage { completion_tokens: 0, ..usage }, 1, 1);
        let ending = match end {
            End::Finished => Ending::Complete { arrived, cost },
            End::Left if has_begun => Ending::Cancelled { arrived, cost },
            End::Left => match prompt_cost.filter(|cost| *cost > 0 && self.prompt.is_sent()) {
                Some(cost) => Ending::Cancelled { arrived, cost: Some(cost) },
                None => Ending::LeftEarly,
            },
            End::Failed(failure) => {
                let settled = match failure {
                    Failure::EmptyAnswer => prompt_cost,
                    Failure::TotalTimeout if has_begun => cost,
                    _ => None,
                };
                let is_kept = has_begun || settled.is_some();
                let arrived = if is_kept { arrived } else { Arrived::default() };
                Ending::Failed { reason: failure.reason(), arrived, settled }
            }
        };
        let cost = match &ending {
            Ending::Complete { cost, .. } | Ending::Cancelled { cost, .. } => cost.unwrap_or(held),
            Ending::Failed { settled, .. } => settled.unwrap_or(0),
            Ending::LeftEarly | Ending::Released { .. } => 0,
        };
        Outcome { ending, usage, cost: cost.clamp(0, held) }
    }
}

/// Returns embeddings as they are stored, if they are small enough.
fn kept(embeddings: &Embeddings) -> KeptEmbeddings {
    let vectors = embeddings.to_bytes(MOST_KEPT_EMBEDDINGS).map(Arc::new);
    KeptEmbeddings { vectors, dimensions: embeddings.dimensions() }
}

/// A hold that has ended.
pub(super) struct Settled {
    /// How it ended.
    pub ended: Ended,
    /// When, as it is stored.
    pub finished_at: NaiveDateTime,
}

/// Returns the result that the client gets.
pub(super) fn result_for_client(settled: Result<Settled>, end: End, receipt: Receipt) -> Result<Receipt> {
    let Settled { ended, finished_at } = settled?;
    let receipt = Receipt { finished_at, ..receipt };
    match (ended, end) {
        (Ended::AlreadyRefunded | Ended::NoSuchChat | Ended::OtherOperation, _) => {
            Err(Error::ResponderFailed(FailureReason::TotalTimeout))
        }
        (_, End::Failed(failure)) if receipt.charged > 0 => {
            Err(Error::PaidWithoutAnswer(failure.reason().text()))
        }
        (_, End::Failed(failure)) => Err(failure.into()),
        // A client that gets this error has not disconnected. It was too slow and counted as
        // disconnected.
        (_, End::Left) => Err(Error::ReadTooSlowly),
        (Ended::Now { balance } | Ended::Earlier { balance }, End::Finished) => {
            Ok(Receipt { remaining: balance, ..receipt })
        }
        (Ended::AlreadyComplete, End::Finished) => Ok(receipt),
    }
}
