//! `POST /register/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::client::ClientAddress;
use crate::auth::Auth;
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Request {
    username: Option<String>,
    password: Option<String>,
}

pub(super) async fn create(auth: web::Data<Auth>, from: ClientAddress, body: Body) -> Result<HttpResponse> {
    let Some(Request { username, password }) = body.json()? else {
        return Err(Error::InvalidRegistration(Vec::new()));
    };
    auth.register(from.0, username.as_deref(), password.as_deref()).await?;
    Ok(HttpResponse::Created().json(json!({ "message": "User created successfully" })))
}
