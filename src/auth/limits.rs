//! Request limits of users and guests. For this purpose alone, the user of an auth token or session
//! is cached for a few seconds. The database still decides each time who pays and who has access.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::{Auth, Credentials};
use crate::client_address::client_of;
use crate::clock;
use crate::domain::TokenDigest;
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::models::{Payer, User};
use crate::throttle::{Allowed, RequestKind};

/// How long a user's limit is cached. A change takes effect within this time.
const FRESH: Duration = Duration::from_secs(10);

/// How long an auth token counts as recently valid. The guests at its address cannot lock out such
/// an auth token.
const KNOWN: Duration = Duration::from_secs(3600);

/// The number of auth tokens and sessions that are cached. At this limit they take a few megabytes.
const MOST_REMEMBERED: usize = 50_000;

/// A recent user of an auth token or session.
#[derive(Clone, Copy)]
pub(super) struct Known {
    user_id: i64,
    /// Messages per minute.
    limit: u32,
    since: Instant,
    /// When the cached limit expires.
    fresh_until: Instant,
}

impl Known {
    fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until
    }
}

/// The result of counting a message.
#[derive(Debug)]
pub struct Counted {
    /// What is left of the limit. `None` if throttles are off.
    pub allowed: Option<Allowed>,
    /// Whether the message may proceed.
    pub verdict: Result<()>,
}

/// Recent users, by the digest of their auth token or session.
#[derive(Default)]
pub(super) struct KnownLimits(RwLock<HashMap<[u8; 32], Known>>);

impl KnownLimits {
    fn of(&self, digest: TokenDigest) -> Option<Known> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(digest.as_bytes()).copied().filter(|known| known.since.elapsed() < KNOWN)
    }

    fn remember(&self, digest: TokenDigest, limit: Known) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED && !known.contains_key(digest.as_bytes()) {
            // Drops the older half.
            let mut times: Vec<Instant> = known.values().map(|known| known.since).collect();
            let (_, middle, _) = times.select_nth_unstable(MOST_REMEMBERED / 2);
            let middle = *middle;
            known.retain(|_, known| known.since > middle);
        }
        known.insert(*digest.as_bytes(), limit);
    }

    fn forget(&self, digest: TokenDigest) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(digest.as_bytes());
    }
}

/// A request that costs nothing and needs no auth token. As an extractor it rejects requests of an
/// address that has reached its limit.
#[derive(Clone, Copy, Debug)]
pub struct Guest;

impl FromRequest for Guest {
    type Error = Error;
    type Future = std::future::Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let checked = match request.app_data::<web::Data<Auth>>() {
            Some(auth) => auth.throttle.check_guest(client_of(request)).map_err(Error::TooManyRequests),
            None => Ok(()),
        };
        std::future::ready(checked.map(|()| Guest))
    }
}

impl Auth {
    /// Counts a message.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] at the limit. [`Error::Unauthorized`] if the auth token is not
    /// valid.
    pub async fn check_message(&self, digest: TokenDigest, http: &HttpRequest) -> Result<()> {
        self.count_message(digest, http).await?.verdict
    }

    /// Counts a message, and returns what is left of the limit, even if nothing is left. Notes
    /// whose request it is.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the auth token is not valid, or instead
    /// [`Error::TooManyRequests`] if the address has reached the limit of guests.
    pub async fn count_message(&self, digest: TokenDigest, http: &HttpRequest) -> Result<Counted> {
        if !self.throttle.is_on() {
            return Ok(Counted { allowed: None, verdict: Ok(()) });
        }
        let known = match self.limits.of(digest).filter(Known::is_fresh) {
            Some(known) => known,
            None => self.look_up_limit(digest, client_of(http)).await?,
        };
        RequestNotes::of(http).set_user(known.user_id);
        Ok(match self.throttle.check_message(known.user_id, known.limit) {
            Ok(allowed) => Counted { allowed: Some(allowed), verdict: Ok(()) },
            Err(retry) => Counted {
                allowed: Some(Allowed::none_of(known.limit)),
                verdict: Err(Error::TooManyRequests(retry)),
            },
        })
    }

    /// Returns what is left of the changes of a request's user. `None` if throttles are off, or the
    /// credentials were not valid recently.
    pub fn changes_left(&self, credentials: Credentials) -> Option<Allowed> {
        let Credentials::Token(digest) = credentials else { return None };
        self.throttle.changes_left(self.limits.of(digest)?.user_id)
    }

    async fn look_up_limit(&self, digest: TokenDigest, from: IpAddr) -> Result<Known> {
        self.check_stranger(digest, from)?;
        let now = clock::now();
        let found = self.db.read_few(move |conn| Ok(Payer::find(conn, digest, now)?)).await?;
        match found {
            Some(payer) => Ok(self.remember(digest, payer, FRESH)),
            None => Err(self.refuse(Some(digest), from)),
        }
    }

    /// Runs before the database look-up: counts the request if its user is already known.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub(super) fn check_before(
        &self,
        digest: TokenDigest,
        kind: RequestKind,
        from: IpAddr,
        notes: &RequestNotes,
    ) -> Result<IsCounted> {
        if !self.throttle.is_on() {
            return Ok(IsCounted(true));
        }
        match self.limits.of(digest) {
            Some(known) if known.is_fresh() => {
                let checked = self.throttle.check_unpaid(known.user_id, kind);
                // A request that is refused here is the user's, too.
                notes.set_user(known.user_id);
                checked.map(|()| IsCounted(true)).map_err(Error::TooManyRequests)
            }
            _ => self.check_stranger(digest, from).map(|()| IsCounted(false)),
        }
    }

    /// Runs after the database look-up: counts the request unless it was counted before.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub(super) fn check_after(
        &self,
        IsCounted(is_counted): IsCounted,
        digest: TokenDigest,
        payer: Payer,
        kind: RequestKind,
    ) -> Result<()> {
        if is_counted {
            return Ok(());
        }
        let known = self.remember(digest, payer, FRESH);
        self.throttle.check_unpaid(known.user_id, kind).map_err(Error::TooManyRequests)
    }

    /// Counts a request without a valid auth token as a guest's. Returns the error for it.
    pub fn refuse(&self, digest: Option<TokenDigest>, from: IpAddr) -> Error {
        if let Some(digest) = digest.filter(|_| self.throttle.is_on()) {
            self.limits.forget(digest);
        }
        self.throttle.check_guest(from).map_or_else(Error::TooManyRequests, |()| Error::Unauthorized)
    }

    /// Rejects an auth token that is not in the cache if its address has sent too many bad ones. So
    /// such a token is not looked up.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn check_stranger(&self, digest: TokenDigest, from: IpAddr) -> Result<()> {
        if self.limits.of(digest).is_some() {
            return Ok(());
        }
        self.throttle.peek_guest(from).map_err(Error::TooManyRequests)
    }

    fn remember(&self, digest: TokenDigest, payer: Payer, fresh_for: Duration) -> Known {
        let own = payer.requests_per_minute.map(|own| u32::try_from(own).unwrap_or(u32::MAX));
        let limit = own.unwrap_or(self.rules().requests_per_minute);
        let now = Instant::now();
        let known = Known { user_id: payer.user_id, limit, since: now, fresh_until: now + fresh_for };
        self.limits.remember(digest, known);
        known
    }

    /// Makes a new auth token known at once. The user's limit is still looked up at its first use.
    pub(super) fn welcome(&self, digest: TokenDigest, user: &User) {
        if self.throttle.is_on() {
            self.remember(digest, Payer::of(user), Duration::ZERO);
        }
    }
}

/// Whether a request was counted before the database look-up.
pub(super) struct IsCounted(bool);
