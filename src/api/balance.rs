//! `GET /tokens/` and `GET /balance/`. Both return the balance. Their texts for 401 differ, because
//! they come from two older services.

use actix_web::HttpResponse;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::models::Payer;

#[derive(Serialize)]
struct Balance {
    tokens: i64,
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
