//! `POST /password/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::client::ClientAddress;
use crate::auth::{Auth, CurrentUser};
use crate::domain::Invalid;
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Request {
    old_password: Option<String>,
    new_password: Option<String>,
}

pub(super) async fn change(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    body: Body,
) -> Result<HttpResponse> {
    let unreadable =
        || Error::Invalid(Invalid::new("body", "give JSON with \"old_password\" and \"new_password\""));
    let request: Request = body.json()?.ok_or_else(unreadable)?;
    let (old, new) = (request.old_password.as_deref(), request.new_password.as_deref());
    auth.change_password(current, from.0, old, new).await?;
    Ok(HttpResponse::Ok().json(json!({ "message": "Password changed" })))
}
