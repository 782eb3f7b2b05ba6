//! Identifies the sender of a request: the credentials that it has, and their user.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};
use actix_web::{FromRequest, HttpRequest, web};
use chrono::NaiveDateTime;
use diesel::QueryResult;

use super::Auth;
use crate::client_address::client_of;
use crate::clock;
use crate::db::DbConnection;
use crate::domain::{TokenDigest, presented_token};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::models::{AuthToken, Payer, User};
use crate::throttle::RequestKind;

/// The header in which clients of Anthropic's protocol send their key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The content of the `Authorization` header or, under `/v1`, of `x-api-key`.
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
        match Credentials::of_header(request, header::AUTHORIZATION, presented_token) {
            // A proxy in front may have credentials of its own.
            unusable @ (Credentials::Absent | Credentials::Unreadable)
                if request.path().starts_with("/v1/") =>
            {
                match Credentials::of_header(request, X_API_KEY, |key| Some(key.trim())) {
                    Credentials::Absent => unusable,
                    credentials => credentials,
                }
            }
            credentials => credentials,
        }
    }

    fn of_header(
        request: &HttpRequest,
        name: HeaderName,
        token: impl FnOnce(&str) -> Option<&str>,
    ) -> Credentials {
        let mut values = request.headers().get_all(name);
        let Some(value) = values.next() else { return Credentials::Absent };
        if values.next().is_some() {
            return Credentials::Unreadable;
        }
        let digest = value.to_str().ok().and_then(token).and_then(TokenDigest::of);
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

/// What is known of the user of an auth token.
trait Bearer: Sized + Send + 'static {
    /// Returns the active user of an auth token that is valid.
    fn find(conn: &mut DbConnection, digest: TokenDigest, now: NaiveDateTime) -> QueryResult<Option<Self>>;

    /// Returns what the limits need.
    fn payer(&self) -> Payer;
}

impl Bearer for CurrentUser {
    fn find(conn: &mut DbConnection, digest: TokenDigest, now: NaiveDateTime) -> QueryResult<Option<Self>> {
        let found = User::find_by_auth_token(conn, digest, now)?;
        Ok(found.map(|(user, auth_token)| CurrentUser { user, auth_token }))
    }

    fn payer(&self) -> Payer {
        Payer::of(&self.user)
    }
}

impl Bearer for Payer {
    fn find(conn: &mut DbConnection, digest: TokenDigest, now: NaiveDateTime) -> QueryResult<Option<Self>> {
        Payer::find(conn, digest, now)
    }

    fn payer(&self) -> Payer {
        *self
    }
}

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

fn extract<T: Bearer>(request: &HttpRequest) -> Extracted<T> {
    let credentials = Credentials::of(request);
    let auth = request.app_data::<web::Data<Auth>>().cloned();
    let (kind, from) = (kind_of(request), client_of(request));
    let notes = RequestNotes::of(request);
    Box::pin(async move {
        let auth = auth.ok_or_else(|| Error::Internal("no Auth in the app's data".to_owned()))?;
        let Ok(digest) = credentials.or(|| None) else { return Err(auth.refuse(None, from)) };
        auth.admit(digest, kind, from, &notes).await
    })
}

impl FromRequest for CurrentUser {
    type Error = Error;
    type Future = Extracted<CurrentUser>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(request)
    }
}

/// As an extractor, rejects the same requests as [`CurrentUser`], and reads less.
impl FromRequest for Payer {
    type Error = Error;
    type Future = Extracted<Payer>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(request)
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
    async fn admit<T: Bearer>(
        &self,
        digest: TokenDigest,
        kind: RequestKind,
        from: IpAddr,
        notes: &RequestNotes,
    ) -> Result<T> {
        let counted = self.check_before(digest, kind, from, notes)?;
        match self.bearer::<T>(digest).await {
            Ok(current) => {
                notes.set_user(current.payer().user_id);
                self.check_after(counted, digest, current.payer(), kind).map(|()| current)
            }
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
        self.bearer(digest).await
    }

    async fn bearer<T: Bearer>(&self, digest: TokenDigest) -> Result<T> {
        let now = clock::now();
        let found = self.db.read_few(move |conn| Ok(T::find(conn, digest, now)?)).await?;
        let found = found.ok_or(Error::Unauthorized)?;
        self.last_uses.record(digest, now);
        Ok(found)
    }

    /// Records that an auth token was used. For requests that do not call [`Auth::current_user`],
    /// because the charge finds the payer itself.
    pub fn used(&self, digest: TokenDigest) {
        self.last_uses.record(digest, clock::now());
    }
}
