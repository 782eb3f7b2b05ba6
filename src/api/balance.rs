//! `GET /tokens/` and `GET /balance/`. Both return the balance. Their texts for 401 differ, because
//! they come from two older services.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::http::Schema;
use crate::http::operation::{Operation, Success, Tag};
use crate::models::Payer;

/// A balance.
#[derive(Serialize, ToSchema)]
struct Balance {
    /// The tokens that can be spent now.
    #[schema(minimum = 0)]
    tokens: i64,
}

fn described(operation: Operation) -> Operation {
    let returned = Success::json(200, "The balance.", Schema::of::<Balance>(), json!({ "tokens": 3900 }));
    operation.titled(Tag::Chats, "See your balance").returns(returned)
}

/// Describes `GET /tokens/`.
pub(super) fn describe_tokens() -> Operation {
    let about = "The same as the balance. Its 401 has the text of an older service.";
    described(Operation::of(tokens)).about(about).fails_instead(Error::TokenNotFound)
}

/// Describes `GET /balance/`.
pub(super) fn describe_balance() -> Operation {
    described(Operation::of(balance))
}

/// `GET /tokens/`: returns the balance. Its 401 has a text of its own.
pub(super) async fn tokens(payer: Result<Payer>) -> Result<HttpResponse> {
    let payer = payer.map_err(|error| match error {
        Error::Unauthorized => Error::TokenNotFound,
        error => error,
    })?;
    Ok(HttpResponse::Ok().json(Balance { tokens: payer.tokens }))
}

/// `GET /balance/`: returns the balance.
pub(super) async fn balance(payer: Payer) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(Balance { tokens: payer.tokens }))
}
