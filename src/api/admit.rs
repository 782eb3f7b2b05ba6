//! Identifies the sender of a message before the message is checked. Shared by `/chat/` and
//! the dialects under `/v1`.

use actix_web::HttpRequest;

use crate::auth::{Auth, Credentials};
use crate::client_address::client_of;
use crate::domain::TokenDigest;
use crate::error::{Error, Result};
use crate::logging::RequestNotes;

/// Returns the auth token of the `Authorization` header, or the one in the body if there is no
/// header.
///
/// # Errors
/// [`Error::Unauthorized`] if there is neither. The request then counts as a guest's.
pub(super) fn auth_token(
    auth: &Auth,
    credentials: Credentials,
    in_body: impl FnOnce() -> Option<TokenDigest>,
    http: &HttpRequest,
) -> Result<TokenDigest> {
    credentials.or(in_body).map_err(|_| auth.refuse(None, client_of(http)))
}

/// A body that has arrived, or the error of reading it, which is reported only after the auth token
/// was found to be valid.
pub(super) struct Arrived<Body>(Result<Body>);

impl<Body> Arrived<Body> {
    /// Call this right after reading the body.
    ///
    /// # Errors
    /// [`Error::BodyCutShort`]: actix drops a handler at its next await if the body broke off, so
    /// this is the only moment to respond.
    pub(super) fn new(body: Result<Body>) -> Result<Arrived<Body>> {
        match body {
            Err(error @ Error::BodyCutShort) => Err(error),
            body => Ok(Arrived(body)),
        }
    }

    /// Returns the request that `parse` makes of the body.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the auth token is not valid, whatever else is wrong. Otherwise
    /// the error of reading or parsing the body.
    pub(super) async fn admit<Request>(
        self,
        auth: &Auth,
        auth_token: TokenDigest,
        http: &HttpRequest,
        parse: impl FnOnce(Body) -> Result<Request>,
    ) -> Result<Request> {
        let error = match self.0.and_then(parse) {
            Ok(request) => return Ok(request),
            Err(error) => error,
        };
        let current = auth.current_user(auth_token).await?;
        RequestNotes::of(http).set_user(current.user.id);
        Err(error)
    }
}
