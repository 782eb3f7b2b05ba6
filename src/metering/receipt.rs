//! What the client of an answered chat is told.

use chrono::NaiveDateTime;

use crate::models::{Chat, ChatState};
use crate::responder::{Answer, Usage};

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
    /// False: it was cut short, as its client left amid it; only a retry can find such a one.
    pub is_whole: bool,
    /// When it was charged.
    pub created_at: NaiveDateTime,
}

impl Receipt {
    /// That of a chat that was answered before. `charged` is what it cost then.
    pub(super) fn replayed(chat: Chat, charged: i64, balance: i64) -> Receipt {
        let mut answer = Answer::stored(chat.response, chat.answer_extras.as_deref());
        let is_whole = chat.state == ChatState::Complete;
        if !is_whole {
            // The protocol's word for an answer that could have gone on.
            answer.finish_reason = Some("length".to_owned());
        }
        let usage = match (chat.prompt_tokens, chat.completion_tokens) {
            (Some(prompt_tokens), Some(completion_tokens)) => {
                Usage { prompt_tokens, completion_tokens, estimated: chat.usage_estimated.unwrap_or(false) }
            }
            _ => Usage::counted(&chat.message, &answer),
        };
        Receipt {
            chat_id: chat.id,
            message: chat.message,
            model: chat.model,
            answer,
            usage,
            charged,
            remaining: balance,
            replayed: true,
            is_whole,
            created_at: chat.created_at,
        }
    }
}
