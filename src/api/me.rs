//! `GET /me/`: who the auth token belongs to, with the balance and what is held of it.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::Result;

#[derive(Serialize)]
struct Me<'a> {
    id: i64,
    username: &'a str,
    /// The balance: what can be spent now.
    tokens: i64,
    /// Already taken off the balance for chats that are not answered yet.
    held: i64,
    date_joined: String,
    last_login: Option<String>,
}

pub(super) async fn show(auth: web::Data<Auth>, current: CurrentUser) -> Result<HttpResponse> {
    let (user, held) = current.profile(&auth.db).await?;
    Ok(HttpResponse::Ok().json(Me {
        id: user.id,
        username: &user.username,
        tokens: user.tokens,
        held,
        date_joined: rfc3339(user.date_joined),
        last_login: user.last_login.map(rfc3339),
    }))
}
