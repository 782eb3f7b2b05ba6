//! `POST /register/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::{FormBody, Sent};
use super::text::short;
use crate::auth::Auth;
use crate::error::{Error, Result};
use crate::http::ClientAddress;
use crate::logging::RequestNotes;

/// The fields are of any type, so that an error about a value of a wrong type can name its field.
#[derive(Default, Deserialize)]
struct RegisterBody {
    username: Option<Value>,
    password: Option<Value>,
}

/// `POST /register/`: makes a user.
pub(super) async fn create(
    auth: web::Data<Auth>,
    from: ClientAddress,
    notes: RequestNotes,
    body: FormBody,
) -> Result<HttpResponse> {
    let Sent { fields: RegisterBody { username, password }, fault, .. } = body.parse()?;
    let (username, password) = (short(username), short(password));
    let registered = auth.register(from.0, notes, username.as_deref(), password.as_deref()).await;
    registered.map_err(|error| match (error, fault) {
        (error @ Error::InvalidRegistration(_), Some(fault)) => error.of_unreadable_body(fault),
        (error, _) => error,
    })?;
    Ok(HttpResponse::Created().json(json!({ "message": "User created successfully" })))
}
