//! The answer to a message, whole or part by part.

use super::event_stream::{self, Opened};
use crate::auth::Auth;
use crate::chat::{ChatRequest, Receipt, Toll};
use crate::domain::FailureReason;
use crate::error::{Error, Result};

/// The answer to a message.
pub(super) enum ChatAnswer {
    /// The whole answer.
    Whole(Receipt),
    /// The stream of its parts.
    InParts(Opened),
}

/// Returns the errors of charging a message and answering it.
pub(super) fn errors_of_answers() -> [Error; 12] {
    [
        Error::InsufficientTokens { balance: 50, price: 100, is_at_most: false, top_up: None },
        Error::RequestRefused(None),
        Error::ContextTooLong,
        Error::ModelNotFound("gpt-9".to_owned()),
        Error::ReadTooSlowly,
        Error::KeyInFlight,
        Error::TooManyChats,
        Error::UserMemoryFull,
        Error::ResponderFailed(FailureReason::ServerError),
        Error::PaidWithoutAnswer(FailureReason::TotalTimeout.text()),
        Error::Busy(2),
        Error::MemoryFull,
    ]
}

/// Charges a message and returns its answer: whole, or with `in_parts` as soon as it begins.
pub(super) async fn answer(
    auth: &Auth,
    toll: &Toll,
    request: ChatRequest,
    in_parts: bool,
) -> Result<ChatAnswer> {
    let auth_token = request.auth_token;
    let answer = if in_parts {
        ChatAnswer::InParts(event_stream::open(toll, request).await?)
    } else {
        ChatAnswer::Whole(toll.chat(request).await?)
    };
    auth.used(auth_token);
    Ok(answer)
}
