//! `POST /password/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::register::{DoneView, errors_of_passwords};
use super::text::short;
use crate::auth::{Auth, CurrentUser, PasswordChange};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::operation::{Body, Example, Operation, Tag};
use crate::http::{ClientAddress, Schema};
use crate::logging::RequestNotes;

#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordChange)]
struct PasswordBody {
    /// The password so far.
    #[schema(value_type = String, required)]
    old_password: Option<String>,
    /// The new one, under the rules of `POST /register/`.
    #[schema(value_type = String, required, min_length = 8)]
    new_password: Option<String>,
}

/// What the response says.
const CHANGED: &str = "Password changed";

fn unreadable() -> Error {
    Error::Invalid(Invalid::new("body", "give JSON with \"old_password\" and \"new_password\""))
}

/// Describes `POST /password/`.
pub(super) fn describe_change() -> Operation {
    let example =
        json!({ "old_password": "a plain pass phrase 7", "new_password": "another plain pass phrase 8" });
    let body = Body::json(Schema::of::<PasswordBody>(), [Example::new("change", "A change.", example)]);
    let wrong = Error::Invalid(Invalid::new("old_password", "it is not this user's password"));
    Operation::of(change)
        .titled(Tag::Accounts, "Change your password")
        .about("Ends your other auth tokens, and your sessions in the panel.")
        .takes(body)
        .returns(DoneView::success(200, CHANGED))
        .fails([unreadable(), wrong])
        .fails(errors_of_passwords())
}

/// `POST /password/`: changes the user's password.
pub(super) async fn change(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    notes: RequestNotes,
    body: JsonBody,
) -> Result<HttpResponse> {
    let request: PasswordBody = body.json()?.ok_or_else(unreadable)?;
    let text = |text: Option<String>| short(text.map(Value::String));
    let (old, new) = (text(request.old_password), text(request.new_password));
    let (old, new) = (old.as_deref(), new.as_deref());
    auth.change_password(current, PasswordChange { from: from.0, request: notes, old, new }).await?;
    Ok(HttpResponse::Ok().json(DoneView { message: CHANGED }))
}
