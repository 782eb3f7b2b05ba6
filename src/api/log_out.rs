//! `POST /logout/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::body::JsonBody;
use crate::auth::{Auth, CurrentUser};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::ClientAddress;

#[derive(Deserialize)]
struct LogOutBody {
    #[serde(default)]
    everywhere: bool,
}

/// Logs out. An empty body means: only the auth token of this request.
pub(super) async fn create(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    body: JsonBody,
) -> Result<HttpResponse> {
    let everywhere = match body.optional::<LogOutBody>()? {
        None => false,
        Some(Ok(request)) => request.everywhere,
        Some(Err(_)) => return Err(Error::Invalid(Invalid::new("everywhere", "give true or false"))),
    };
    auth.log_out(&current, from.0, everywhere).await?;
    Ok(HttpResponse::Ok().json(json!({ "message": "Logged out" })))
}
