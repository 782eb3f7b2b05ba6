//! Identifies the sender of a request: the credentials that it has, and their user.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, web};

use super::Auth;
use crate::client_address::client_of;
use crate::clock;
use crate::domain::{TokenDigest, presented_token};
use crate::error::{Error, Result};
use crate::models::{AuthToken, User};
use crate::throttle::RequestKind;

/// The content of the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// There is no header.
    Absent,
    /// The header is malformed or appears twice.
    Unreadable,
    /// The digest of the auth token in the header.
    Token(TokenDigest),
}

impl Credentials {
    /// Reads the header of a request.
    pub fn of(request: &HttpRequest) -> Credentials {
        let mut values = request.headers().get_all(header::AUTHORIZATION);
        let Some(value) = values.next() else { return Credentials::Absent };
        if values.next().is_some() {
            return Credentials::Unreadable;
        }
        let digest = value.to_str().ok().and_then(presented_token).and_then(TokenDigest::of);
        digest.map_or(Credentials::Unreadable, Credentials::Token)
    }

    /// Returns the auth token of the header. If there is no header, returns what `otherwise` finds.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if there is no auth token, or the header is malformed.
    pub fn or(self, otherwise: impl FnOnce() -> Option<TokenDigest>) -> Result<TokenDigest> {
        match self {
            Credentials::Token(digest) => Ok(digest),
            Credentials::Absent => otherwise().ok_or(Error::Unauthorized),
            Credentials::Unreadable => Err(Error::Unauthorized),
        }
    }
}

impl FromRequest for Credentials {
    type Error = Error;
    type Future = std::future::Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Credentials::of(request)))
    }
}

/// The active user whose auth token the request has. As an extractor it rejects requests without a
/// valid auth token.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// The user, as stored.
    pub user: User,
    /// The auth token of the request.
    pub auth_token: AuthToken,
}

impl FromRequest for CurrentUser {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let credentials = Credentials::of(request);
        let auth = request.app_data::<web::Data<Auth>>().cloned();
        let (kind, from) = (kind_of(request), client_of(request));
        Box::pin(async move {
            let auth = auth.ok_or_else(|| Error::Internal("no Auth in the app's data".to_owned()))?;
            let Ok(digest) = credentials.or(|| None) else { return Err(auth.refuse(None, from)) };
            auth.admit(digest, kind, from).await
        })
    }
}

/// Returns the kind that a free request counts as.
pub(super) fn kind_of(request: &HttpRequest) -> RequestKind {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        RequestKind::Read
    } else {
        RequestKind::Change
    }
}

impl Auth {
    /// Returns the user of a live auth token, unless the user or the address has reached a limit.
    async fn admit(&self, digest: TokenDigest, kind: RequestKind, from: IpAddr) -> Result<CurrentUser> {
        let counted = self.check_before(digest, kind, from)?;
        match self.current_user(digest).await {
            Ok(current) => self.check_after(counted, digest, &current.user, kind).map(|()| current),
            Err(Error::Unauthorized) => Err(self.refuse(Some(digest), from)),
            Err(error) => Err(error),
        }
    }

    /// Returns the user of a live auth token. It is read from the database each time, so that an
    /// auth token that was just revoked, on any node, is rejected.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if there is no such user.
    pub async fn current_user(&self, digest: TokenDigest) -> Result<CurrentUser> {
        let now = clock::now();
        let found = self.db.read(move |conn| Ok(User::find_by_auth_token(conn, digest, now)?)).await?;
        let (user, auth_token) = found.ok_or(Error::Unauthorized)?;
        self.last_uses.record(digest, now);
        Ok(CurrentUser { user, auth_token })
    }

    /// Records that an auth token was used. For requests that do not call [`Auth::current_user`],
    /// because the charge finds the payer itself.
    pub fn used(&self, digest: TokenDigest) {
        self.last_uses.record(digest, clock::now());
    }
}
