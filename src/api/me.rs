//! `GET /me/`: the user to whom the auth token belongs, with the balance and the tokens held.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::Result;
use crate::http::operation::{Operation, Success, Tag};
use crate::http::{CurrentSite, Schema};

/// A user, as that user sees it.
#[derive(Serialize, ToSchema)]
struct Me<'a> {
    /// The id.
    id: i64,
    /// The name.
    username: &'a str,
    /// The balance: the tokens that can be spent now.
    #[schema(minimum = 0)]
    tokens: i64,
    /// The tokens that were taken off the balance for chats that are not answered yet.
    #[schema(minimum = 0)]
    held: i64,
    /// When the user joined (RFC 3339).
    #[schema(format = DateTime)]
    date_joined: String,
    /// The latest log-in. `null` before the first.
    #[schema(required, format = DateTime)]
    last_login: Option<String>,
    /// How to get more tokens, as the operator says. Missing if the operator does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    top_up: Option<&'a str>,
}

/// Describes `GET /me/`.
pub(super) fn describe_show() -> Operation {
    let example = json!({
        "id": 7, "username": "ada", "tokens": 3900, "held": 0,
        "date_joined": "2026-11-02T09:30:00.000000Z", "last_login": "2026-12-02T08:00:00.000000Z",
    });
    Operation::of(show)
        .titled(Tag::Accounts, "See who you are")
        .about("Returns the user of the auth token, with the balance. `held` is already taken off `tokens`.")
        .returns(Success::json(200, "The user.", Schema::of::<Me>(), example))
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
