//! `POST /password/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::JsonBody;
use super::text::short;
use crate::auth::{Auth, CurrentUser, PasswordChange};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::ClientAddress;
use crate::logging::RequestNotes;

#[derive(Deserialize)]
struct PasswordBody {
    old_password: Option<String>,
    new_password: Option<String>,
}

/// `POST /password/`: changes the user's password.
pub(super) async fn change(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    notes: RequestNotes,
    body: JsonBody,
) -> Result<HttpResponse> {
    let unreadable =
        || Error::Invalid(Invalid::new("body", "give JSON with \"old_password\" and \"new_password\""));
    let request: PasswordBody = body.json()?.ok_or_else(unreadable)?;
    let text = |text: Option<String>| short(text.map(Value::String));
    let (old, new) = (text(request.old_password), text(request.new_password));
    let (old, new) = (old.as_deref(), new.as_deref());
    auth.change_password(current, PasswordChange { from: from.0, request: notes, old, new }).await?;
    Ok(HttpResponse::Ok().json(json!({ "message": "Password changed" })))
}
