//! `POST /login/`.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::form::{FormBody, MEDIA_TYPES, Sent};
use super::register::errors_of_passwords;
use super::text::short;
use crate::auth::{Auth, LogIn};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::operation::{Body, Example, Operation, Success, Tag};
use crate::http::{ClientAddress, Schema};
use crate::logging::RequestNotes;

/// The fields are of any type, so that a value of a wrong type does not make the whole body
/// unreadable: the contract has a text for each field.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = LogIn)]
struct LogInBody {
    /// The name, in any case.
    #[schema(value_type = String, required)]
    username: Option<Value>,
    /// The password.
    #[schema(value_type = String, required)]
    password: Option<Value>,
}

/// A log-in.
#[derive(Serialize, ToSchema)]
#[schema(as = LoggedIn)]
struct LogInResponse<'a> {
    /// A sentence that never changes.
    message: &'a str,
    /// The new auth token. Keep it like a password.
    token: &'a str,
}

/// What the response says.
const LOGGED_IN: &str = "Login successful";

/// Describes `POST /login/`.
pub(super) fn describe_create() -> Operation {
    let example = json!({ "username": "ada", "password": "a plain pass phrase 7" });
    let body = Body::json(Schema::of::<LogInBody>(), [Example::new("ada", "A user.", example)]);
    let token = format!("tg_{}", "0123456789abcdef".repeat(3));
    let returned = json!({ "message": LOGGED_IN, "token": token });
    let success = Success::json(200, "A new auth token.", Schema::of::<LogInResponse>(), returned);
    let unreadable = Error::InvalidUsername.of_unreadable_body(Invalid::new("body", "it is empty"));
    Operation::of(create)
        .titled(Tag::Accounts, "Log in")
        .about(
            "Makes a new auth token; your others stay valid. Of those that log-ins have made, the 20 used \
             last are kept. With --login-errors unified, a wrong name and a wrong password have the same \
             text.",
        )
        .takes(body.also_as(&MEDIA_TYPES))
        .returns(success)
        .fails([Error::InvalidUsername, Error::InvalidPassword, Error::InvalidCredentials, unreadable])
        .fails(errors_of_passwords())
}

/// `POST /login/`: checks a password and returns a new auth token.
pub(super) async fn create(
    auth: web::Data<Auth>,
    from: ClientAddress,
    notes: RequestNotes,
    body: FormBody,
) -> Result<HttpResponse> {
    let Sent { fields: LogInBody { username, password }, fault, .. } = body.parse()?;
    let (username, password) = (short(username), short(password));
    let log_in =
        LogIn { from: from.0, request: notes, username: username.as_deref(), password: password.as_deref() };
    let token = auth.log_in(log_in).await.map_err(|error| match (error, fault) {
        (error @ (Error::InvalidUsername | Error::InvalidCredentials), Some(fault)) => {
            error.of_unreadable_body(fault)
        }
        (error, _) => error,
    })?;
    Ok(HttpResponse::Ok().json(LogInResponse { message: LOGGED_IN, token: token.expose() }))
}
