//! `POST /register/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::JsonBody;
use super::text::short;
use crate::auth::Auth;
use crate::domain::RequestId;
use crate::error::Result;
use crate::http::ClientAddress;

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
    id: RequestId,
    body: JsonBody,
) -> Result<HttpResponse> {
    let RegisterBody { username, password } = body.json()?.unwrap_or_default();
    let (username, password) = (short(username), short(password));
    auth.register(from.0, id, username.as_deref(), password.as_deref()).await?;
    Ok(HttpResponse::Created().json(json!({ "message": "User created successfully" })))
}
