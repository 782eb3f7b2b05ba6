//! `GET` and `POST /auth-tokens/`, `DELETE /auth-tokens/{id}/`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::idempotency::{self, key_of};
use crate::auth::{Auth, AuthTokenOutcome, AuthTokenRequest, CurrentUser};
use crate::clock::rfc3339;
use crate::domain::{Invalid, OperationId};
use crate::error::{Error, Result};
use crate::http::operation::{Body, Example, Operation, Parameter, Success, Tag};
use crate::http::{ClientAddress, Schema};
use crate::models::AuthToken;

/// The path, for fingerprints and the operations of keys.
const PATH: &str = "/auth-tokens/";

#[derive(Deserialize, ToSchema)]
#[schema(as = NewAuthToken)]
struct AuthTokenBody {
    /// What it is for: one line of at most 100 characters, not counting white space at its ends.
    #[schema(value_type = String, required, min_length = 1)]
    name: Option<String>,
    /// How long it lives. Without one, it does not end by itself.
    #[schema(minimum = 1, maximum = 36500)]
    expires_in_days: Option<i64>,
}

/// An auth token as its user sees it. The token itself is not stored, so it cannot be shown.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthToken)]
struct AuthTokenView {
    /// The id, by which it can be revoked.
    id: i64,
    /// `null` if the auth token was made by a login.
    #[schema(required)]
    name: Option<String>,
    /// How it begins, to tell it from others.
    first_characters: String,
    /// When it was made (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// About when it was used last. `null` if it never was.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
    /// When it ends. `null` if it does not end by itself.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// Whether this request was made with it.
    current: bool,
}

impl AuthTokenView {
    fn new(stored: AuthToken, current_id: i64) -> Self {
        AuthTokenView {
            id: stored.id,
            name: stored.name,
            first_characters: stored.first_characters,
            created_at: rfc3339(stored.created_at),
            last_used_at: stored.last_used_at.map(rfc3339),
            expires_at: stored.expires_at.map(rfc3339),
            current: stored.id == current_id,
        }
    }
}

/// The user's live auth tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthTokens)]
struct AuthTokenList {
    /// The latest first.
    auth_tokens: Vec<AuthTokenView>,
}

/// An auth token that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeAuthToken)]
struct Made<'a> {
    /// The token in plain text. No other response has it.
    token: &'a str,
    #[serde(flatten)]
    view: AuthTokenView,
}

fn unreadable() -> Error {
    Error::Invalid(Invalid::new(
        "body",
        "give JSON with \"name\" and, if wanted, a whole number \"expires_in_days\"",
    ))
}

fn example() -> Value {
    json!({
        "id": 3, "name": "Kitchen", "first_characters": "tg_0123456",
        "created_at": "2026-12-02T08:00:00.000000Z",
        "last_used_at": null, "expires_at": "2027-01-01T08:00:00.000000Z", "current": false,
    })
}

/// Describes `GET /auth-tokens/`.
pub(super) fn describe_list() -> Operation {
    let example = json!({ "auth_tokens": [example()] });
    Operation::of(list).titled(Tag::Accounts, "List your auth tokens").returns(Success::json(
        200,
        "The live ones.",
        Schema::of::<AuthTokenList>(),
        example,
    ))
}

/// Describes `POST /auth-tokens/`.
pub(super) fn describe_create() -> Operation {
    let body = json!({ "name": "Kitchen", "expires_in_days": 30 });
    let body = Body::json(Schema::of::<AuthTokenBody>(), [Example::new("kitchen", "For a month.", body)]);
    let mut made = example();
    made["token"] = format!("tg_{}", "0123456789abcdef".repeat(3)).into();
    let wrong = [(None, None), (Some("a"), Some(0))];
    let wrong = wrong.into_iter().filter_map(|(name, days)| AuthTokenRequest::parse(name, days).err());
    let repeat = "Under one key, one auth token is made. A repeat gets 409 with its id.";
    Operation::of(create)
        .titled(Tag::Accounts, "Make a named auth token")
        .about("A named one stays until it ends or is revoked. It is shown this once.")
        .with([idempotency::parameter(repeat)])
        .takes(body)
        .returns(Success::json(201, "The new auth token.", Schema::of::<Made>(), made))
        .fails([unreadable(), Error::AuthTokenMade(3)])
        .fails(wrong.map(Error::Invalid))
        .fails(idempotency::errors())
}

/// Describes `DELETE /auth-tokens/{id}/`.
pub(super) fn describe_revoke() -> Operation {
    Operation::of(revoke)
        .titled(Tag::Accounts, "Revoke an auth token")
        .with([Parameter::id("The id of one of your auth tokens.")])
        .returns(Success::empty(204, "It is revoked."))
        .fails([Error::NotFound])
}

/// `GET /auth-tokens/`: lists the user's live auth tokens.
pub(super) async fn list(auth: web::Data<Auth>, current: CurrentUser) -> Result<HttpResponse> {
    let stored = auth.auth_tokens(&current).await?;
    let auth_tokens =
        stored.into_iter().map(|stored| AuthTokenView::new(stored, current.auth_token.id)).collect();
    Ok(HttpResponse::Ok().json(AuthTokenList { auth_tokens }))
}

/// `POST /auth-tokens/`: makes a named auth token. Under one `Idempotency-Key` it makes one.
pub(super) async fn create(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    body: JsonBody,
    http: HttpRequest,
) -> Result<HttpResponse> {
    let request: AuthTokenBody = body.json()?.ok_or_else(unreadable)?;
    let mut request =
        AuthTokenRequest::parse(request.name.as_deref(), request.expires_in_days).map_err(Error::Invalid)?;
    if let Some(key) = key_of(&http)? {
        let fingerprint = request.fingerprint(PATH);
        request = request.once(OperationId::of_key(PATH, current.user.id, &key), fingerprint);
    }
    let made = match auth.make_own_auth_token(&current, from.0, request).await? {
        AuthTokenOutcome::Made(made) => made,
        AuthTokenOutcome::MadeBefore(id) => return Err(Error::AuthTokenMade(id)),
        AuthTokenOutcome::OtherRequest => return Err(Error::KeyReused),
    };
    let view = AuthTokenView::new(made.stored, current.auth_token.id);
    Ok(HttpResponse::Created().json(Made { token: made.plain.expose(), view }))
}

/// `DELETE /auth-tokens/{id}/`: revokes an auth token.
pub(super) async fn revoke(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    auth.revoke_own_auth_token(&current, from.0, super::id(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
