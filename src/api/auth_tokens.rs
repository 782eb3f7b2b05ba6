//! `GET` and `POST /auth-tokens/`, `DELETE /auth-tokens/{id}/`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::idempotency::key_of;
use crate::auth::{Auth, AuthTokenOutcome, AuthTokenRequest, CurrentUser};
use crate::clock::rfc3339;
use crate::domain::{Invalid, OperationId};
use crate::error::{Error, Result};
use crate::http::ClientAddress;
use crate::models::AuthToken;

/// The path, for fingerprints and the operations of keys.
const PATH: &str = "/auth-tokens/";

#[derive(Deserialize)]
struct AuthTokenBody {
    name: Option<String>,
    expires_in_days: Option<i64>,
}

/// An auth token as its user sees it. The token itself is not stored, so it cannot be shown.
#[derive(Serialize)]
struct AuthTokenView {
    id: i64,
    /// `null` if the auth token was made by a login.
    name: Option<String>,
    first_characters: String,
    created_at: String,
    last_used_at: Option<String>,
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

#[derive(Serialize)]
struct AuthTokenList {
    auth_tokens: Vec<AuthTokenView>,
}

#[derive(Serialize)]
struct Made<'a> {
    /// The token in plain text. No other response has it.
    token: &'a str,
    #[serde(flatten)]
    view: AuthTokenView,
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
    let unreadable = || {
        Error::Invalid(Invalid::new(
            "body",
            "give JSON with \"name\" and, if wanted, a whole number \"expires_in_days\"",
        ))
    };
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
