//! How many messages a minute a user may send. Whose auth token it is, is remembered for a few seconds for this purpose
//! alone: who pays is decided by the charge, in the database, each time.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::Auth;
use crate::clock;
use crate::domain::TokenDigest;
use crate::error::{Error, Result};
use crate::models::User;
use crate::throttle::Allowed;

/// For how long a limit is remembered; so long it takes until a changed one is in force.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Auth tokens that are remembered at most; at this bound they take a few megabytes.
const MOST_REMEMBERED: usize = 50_000;

#[derive(Clone, Copy)]
struct Known {
    user_id: i64,
    /// Messages a minute.
    limit: u32,
    since: Instant,
}

/// What came of counting a message.
#[derive(Debug)]
pub struct Counted {
    /// `None`: throttles are off.
    pub allowed: Option<Allowed>,
    pub verdict: Result<()>,
}

/// The limits of those who were here lately, by auth token.
#[derive(Default)]
pub(super) struct KnownLimits(RwLock<HashMap<[u8; 32], Known>>);

impl KnownLimits {
    fn of(&self, digest: TokenDigest) -> Option<Known> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(digest.as_bytes()).copied().filter(|known| known.since.elapsed() < REMEMBERED)
    }

    fn remember(&self, digest: TokenDigest, limit: Known) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(*digest.as_bytes(), limit);
    }
}

impl Auth {
    /// Counts a message.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] and [`Error::Unauthorized`].
    pub async fn check_message(&self, digest: TokenDigest) -> Result<()> {
        self.count_message(digest).await?.verdict
    }

    /// Counts a message, and tells what is left also when there is nothing left.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub async fn count_message(&self, digest: TokenDigest) -> Result<Counted> {
        if !self.throttle.is_on() {
            return Ok(Counted { allowed: None, verdict: Ok(()) });
        }
        let known = match self.limits.of(digest) {
            Some(known) => known,
            None => self.look_up_limit(digest).await?,
        };
        Ok(match self.throttle.check_message(known.user_id, known.limit) {
            Ok(allowed) => Counted { allowed: Some(allowed), verdict: Ok(()) },
            Err(wait) => Counted {
                allowed: Some(Allowed::none_of(known.limit)),
                verdict: Err(Error::TooManyRequests(wait.seconds())),
            },
        })
    }

    async fn look_up_limit(&self, digest: TokenDigest) -> Result<Known> {
        let now = clock::now();
        let found = self.db.read(move |conn| Ok(User::find_by_auth_token(conn, digest, now)?)).await?;
        let (user, _) = found.ok_or(Error::Unauthorized)?;
        let own = user.requests_per_minute.map(|own| u32::try_from(own).unwrap_or(u32::MAX));
        let limit = own.unwrap_or(self.rules.requests_per_minute);
        let known = Known { user_id: user.id, limit, since: Instant::now() };
        self.limits.remember(digest, known);
        Ok(known)
    }
}
