//! `GET /tokens/` and `GET /balance/`: one number, and a text for 401 each, from the two older services.

use actix_web::HttpResponse;
use serde::Serialize;

use crate::auth::CurrentUser;
use crate::error::{Error, Result};

#[derive(Serialize)]
struct Balance {
    tokens: i64,
}

pub(super) async fn tokens(current: Result<CurrentUser>) -> Result<HttpResponse> {
    let current = current.map_err(|error| match error {
        Error::Unauthorized => Error::TokenNotFound,
        error => error,
    })?;
    Ok(HttpResponse::Ok().json(Balance { tokens: current.user.tokens }))
}

pub(super) async fn balance(current: CurrentUser) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(Balance { tokens: current.user.tokens }))
}
