//! The answer to a message, whole or part by part.

use super::event_stream::{self, Opened};
use crate::auth::Auth;
use crate::chat::{ChatRequest, Receipt, Toll};
use crate::error::Result;

/// The answer to a message.
pub(super) enum ChatAnswer {
    /// The whole answer.
    Whole(Receipt),
    /// The stream of its parts.
    InParts(Opened),
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
