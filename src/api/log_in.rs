//! `POST /login/`.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::form::{FormBody, Sent};
use super::text::short;
use crate::auth::{Auth, LogIn};
use crate::error::{Error, Result};
use crate::http::ClientAddress;
use crate::logging::RequestNotes;

/// The fields are of any type, so that a value of a wrong type does not make the whole body
/// unreadable: the contract has a text for each field.
#[derive(Default, Deserialize)]
struct LogInBody {
    username: Option<Value>,
    password: Option<Value>,
}

#[derive(Serialize)]
struct LogInResponse<'a> {
    message: &'a str,
    token: &'a str,
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
    Ok(HttpResponse::Ok().json(LogInResponse { message: "Login successful", token: token.expose() }))
}
