//! `GET /tokens/` and `GET /balance/`. Both return the balance. Their texts for 401 differ, because
//! they come from two older services.

use actix_web::HttpResponse;
use serde::Serialize;

use crate::auth::CurrentUser;
use crate::error::{Error, Result};

#[derive(Serialize)]
struct Balance {
    tokens: i64,
}

/// `GET /tokens/`: returns the balance. Its 401 has a text of its own.
pub(super) async fn tokens(current: Result<CurrentUser>) -> Result<HttpResponse> {
    let current = current.map_err(|error| match error {
        Error::Unauthorized => Error::TokenNotFound,
        error => error,
    })?;
    Ok(HttpResponse::Ok().json(Balance { tokens: current.user.tokens }))
}

/// `GET /balance/`: returns the balance.
pub(super) async fn balance(current: CurrentUser) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(Balance { tokens: current.user.tokens }))
}
