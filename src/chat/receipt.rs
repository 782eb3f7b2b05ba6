//! What an answered chat returns to its client.

use chrono::NaiveDateTime;

use crate::domain::{Endpoint, FailureReason, Usage, UsageDetails};
use crate::error::{Error, Result};
use crate::models::{Chat, ChatState, EmbeddingAnswer};
use crate::responder::{Answer, Embeddings, FinishReason, Replay, StoredAnswer};

/// A chat that was charged and answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The chat's id.
    pub chat_id: i64,
    /// The user's message.
    pub message: String,
    /// The model that answered.
    pub model: String,
    /// The answer.
    pub answer: Answer,
    /// The parts in which the answer was streamed before. `None` if this is not a replay, or they
    /// were not recorded.
    pub parts: Option<Replay>,
    /// The tokens of prompt and answer, as the model counts them.
    pub usage: Usage,
    /// What the chat cost, in tokens of the balance. If replayed, what it cost then.
    pub charged: i64,
    /// The balance after the chat. If replayed, the balance now.
    pub remaining: i64,
    /// Whether this is the answer to an earlier request with the same idempotency key. Nothing was
    /// charged now.
    pub replayed: bool,
    /// `Complete`. `Cancelled` or `Failed` for a partial answer that was charged; only an
    /// idempotent replay returns one.
    pub state: ChatState,
    /// When it was charged.
    pub created_at: NaiveDateTime,
    /// When it ended.
    pub finished_at: NaiveDateTime,
}

impl Receipt {
    /// Makes the receipt of a stored chat, for a client that asks for its answer again.
    ///
    /// # Errors
    /// [`Error::PaidWithoutAnswer`] if no part of an answer exists.
    pub fn stored(chat: Chat) -> Result<Receipt> {
        let charged = chat.charge;
        Receipt::replayed(chat, None, charged, 0)
    }

    /// Makes the receipt of a chat that was charged before. `charged` is what it cost then, and
    /// `vectors` is its stored answer if it is one of embeddings.
    ///
    /// # Errors
    /// [`Error::PaidWithoutAnswer`] if no part of an answer exists. [`Error::AnswerNotKept`] if the
    /// answer was embeddings, and they were too large to be stored.
    pub(super) fn replayed(
        chat: Chat,
        vectors: Option<EmbeddingAnswer>,
        charged: i64,
        balance: i64,
    ) -> Result<Receipt> {
        let is_for_embeddings = chat.endpoint.as_deref() == Some(Endpoint::Embeddings.code());
        let has_answer = chat.response.is_some() || chat.answer_extras.is_some() || vectors.is_some();
        if !has_answer && chat.state != ChatState::Complete {
            return Err(Error::PaidWithoutAnswer(reason_of(&chat)));
        }
        let StoredAnswer { mut answer, usage_details: details, parts } = match is_for_embeddings {
            true => vectors.and_then(restored).ok_or(Error::AnswerNotKept)?,
            false => Answer::stored(chat.response, chat.answer_extras.as_deref()),
        };
        if chat.state != ChatState::Complete {
            // The protocol's word for an answer that is not complete.
            answer.end_all(&FinishReason::Length);
        }
        let usage = match (chat.prompt_tokens, chat.completion_tokens) {
            (Some(prompt_tokens), Some(completion_tokens)) => {
                let estimated = chat.usage_estimated.unwrap_or(false);
                Usage { prompt_tokens, completion_tokens, estimated, details }
            }
            _ => Usage::counted(&chat.message, answer.text().unwrap_or_default()),
        };
        Ok(Receipt {
            chat_id: chat.id,
            message: chat.message,
            model: chat.model,
            answer,
            parts,
            usage,
            charged,
            remaining: balance,
            replayed: true,
            state: chat.state,
            created_at: chat.created_at,
            finished_at: chat.finished_at.unwrap_or(chat.created_at),
        })
    }
}

/// Returns a stored answer with vectors. `None` if they were too large to be stored.
fn restored(stored: EmbeddingAnswer) -> Option<StoredAnswer> {
    let embeddings = Embeddings::stored(usize::try_from(stored.dimensions).ok()?, &stored.vectors?)?;
    let answer = Answer::of_embeddings(embeddings);
    Some(StoredAnswer { answer, usage_details: UsageDetails::default(), parts: None })
}

/// Returns the stored reason why a charged chat has no answer.
fn reason_of(chat: &Chat) -> &'static str {
    let stored = chat.failure.as_deref().and_then(FailureReason::from_code);
    stored.map_or("it was not answered", FailureReason::text)
}
