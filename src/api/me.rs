//! `GET /me/`: the user to whom the auth token belongs, with the balance and the tokens held.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::Result;
use crate::http::CurrentSite;

#[derive(Serialize)]
struct Me<'a> {
    id: i64,
    username: &'a str,
    /// The balance: the tokens that can be spent now.
    tokens: i64,
    /// The tokens that were taken off the balance for chats that are not answered yet.
    held: i64,
    date_joined: String,
    last_login: Option<String>,
    /// How to get more tokens, as the operator says.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_up: Option<&'a str>,
}

/// `GET /me/`: returns the user.
pub(super) async fn show(
    auth: web::Data<Auth>,
    site: CurrentSite,
    current: CurrentUser,
) -> Result<HttpResponse> {
    let (user, held) = current.profile(&auth.db).await?;
    Ok(HttpResponse::Ok().json(Me {
        id: user.id,
        username: &user.username,
        tokens: user.tokens,
        held,
        date_joined: rfc3339(user.date_joined),
        last_login: user.last_login.map(rfc3339),
        top_up: site.top_up.as_deref(),
    }))
}
