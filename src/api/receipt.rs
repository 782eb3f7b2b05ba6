//! The headers of an answer that say what the chat cost.

use actix_web::HttpResponseBuilder;

use crate::chat::{Receipt, Started};
use crate::http::operation::Success;
use crate::models::ChatState;

/// Describes these headers.
pub(super) fn described(success: Success) -> Success {
    success
        .with(&["X-Tokens-Charged", "X-Tokens-Remaining", "X-Chat-Id"])
        .perhaps_with(&["Idempotency-Replayed", "X-Chat-State"])
}

/// Adds `X-Tokens-Charged`, `X-Tokens-Remaining` and `X-Chat-Id`.
pub(super) fn add_receipt(response: &mut HttpResponseBuilder, receipt: &Receipt) {
    add(response, [receipt.charged, receipt.remaining, receipt.chat_id], receipt.replayed, receipt.state);
}

/// Adds the same headers to a stream. They have what is known at its beginning; with a price by
/// usage, the last event says what was refunded.
pub(super) fn add_start(response: &mut HttpResponseBuilder, started: &Started) {
    add(response, [started.charged, started.remaining, started.chat_id], started.replayed, started.state);
}

fn add(
    response: &mut HttpResponseBuilder,
    [charged, remaining, chat_id]: [i64; 3],
    replayed: bool,
    state: ChatState,
) {
    response
        .insert_header(("X-Tokens-Charged", charged))
        .insert_header(("X-Tokens-Remaining", remaining))
        .insert_header(("X-Chat-Id", chat_id));
    if replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    if state != ChatState::Complete {
        // The first client disconnected, or the time limit expired. Only what had arrived until
        // then is available.
        response.insert_header(("X-Chat-State", state.as_str()));
    }
}
