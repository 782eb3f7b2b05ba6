//! What the client of an answered chat is told.

use chrono::NaiveDateTime;

use crate::domain::{Reason, Usage};
use crate::error::{Error, Result};
use crate::metering::LEFT;
use crate::models::{Chat, ChatState};
use crate::responder::{Answer, Failure};

/// A chat that was paid for and answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub chat_id: i64,
    pub message: String,
    pub model: String,
    pub answer: Answer,
    pub usage: Usage,
    /// Tokens that it cost in the end, now or, if replayed, then.
    pub charged: i64,
    /// The balance after it; if replayed, the balance now.
    pub remaining: i64,
    /// The answer is that of an earlier request with the same idempotency key; nothing was charged now.
    pub replayed: bool,
    /// `Complete`. `Cancelled` or `Failed` for a partial answer that was charged; only an
    /// idempotent replay returns one.
    pub state: ChatState,
    /// When it was charged.
    pub created_at: NaiveDateTime,
}

impl Receipt {
    /// The receipt of a chat that was charged before. `charged` is what it cost then.
    ///
    /// # Errors
    /// [`Error::PaidWithoutAnswer`] if no part of an answer exists.
    pub(super) fn replayed(chat: Chat, charged: i64, balance: i64) -> Result<Receipt> {
        let has_answer = chat.response.is_some() || chat.answer_extras.is_some();
        if !has_answer && chat.state != ChatState::Complete {
            return Err(Error::PaidWithoutAnswer(reason_of(&chat)));
        }
        let mut answer = Answer::stored(chat.response, chat.answer_extras.as_deref());
        if chat.state != ChatState::Complete {
            // The protocol's word for an answer that could have gone on.
            answer.finish_reason = Some("length".to_owned());
        }
        let usage = match (chat.prompt_tokens, chat.completion_tokens) {
            (Some(prompt_tokens), Some(completion_tokens)) => {
                Usage { prompt_tokens, completion_tokens, estimated: chat.usage_estimated.unwrap_or(false) }
            }
            _ => Usage::counted(&chat.message, answer.text().unwrap_or_default()),
        };
        Ok(Receipt {
            chat_id: chat.id,
            message: chat.message,
            model: chat.model,
            answer,
            usage,
            charged,
            remaining: balance,
            replayed: true,
            state: chat.state,
            created_at: chat.created_at,
        })
    }
}

/// Returns the stored reason why a charged chat has no answer.
fn reason_of(chat: &Chat) -> Reason {
    let reasons = [LEFT, Failure::TooLong.reason(), Failure::WroteNothing.reason()];
    let stored = reasons.into_iter().find(|reason| chat.failure.as_deref() == Some(*reason));
    stored.unwrap_or("it was not answered")
}
