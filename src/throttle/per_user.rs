//! Limits on the requests of each user in a minute, on this node. Each user may have an individual
//! limit.

use std::time::Duration;

use super::limiter::{Allowance, Limiter, Remaining};
use super::stopwatch::Stopwatch;
use super::{MAX_KEYS, RetryAfter};

/// Allowances of users. The limit is part of the key, so a changed limit counts anew.
pub(super) struct PerUser(Limiter<(i64, u32)>);

/// What a user may still do after a request, for headers such as `x-ratelimit-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The user's limit of requests in a minute.
    pub limit: u32,
    /// The requests that may follow at once.
    pub remaining: u32,
    /// The time until the whole limit is available again.
    pub reset: Duration,
}

impl Allowed {
    /// Returns the values for a limit that is used up.
    pub fn none_of(limit: u32) -> Allowed {
        Allowed { limit, remaining: 0, reset: Duration::from_secs(60) }
    }
}

/// The `Retry-After` of a user with a limit of 0.
const NEVER: Duration = Duration::from_secs(3600);

const BOUND: &str = "messages of one user in a minute";

impl PerUser {
    pub(super) fn new(clock: Stopwatch) -> PerUser {
        PerUser(Limiter::new(MAX_KEYS, clock))
    }

    /// Counts a request of a user whose limit is `limit` a minute.
    ///
    /// # Errors
    /// The allowance is used up.
    pub(super) fn check(&self, user_id: i64, limit: u32) -> Result<Allowed, RetryAfter> {
        if limit == 0 {
            return Err(RetryAfter::new(NEVER, BOUND));
        }
        let left = self.0.take(&(user_id, limit), Allowance::a_minute(limit), 1);
        let Remaining { units: remaining, whole_in: reset } =
            left.map_err(|wait| RetryAfter::new(wait, BOUND))?;
        Ok(Allowed { limit, remaining, reset })
    }

    pub(super) fn forget_idle(&self) {
        self.0.forget_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_as_many_a_minute_as_their_own_limit_says() {
        let clock = Stopwatch::standing_still();
        let users = PerUser::new(clock.clone());
        for remaining in [2, 1, 0] {
            let allowed = users.check(1, 3).unwrap();
            assert_eq!((allowed.limit, allowed.remaining), (3, remaining));
            let reset = allowed.reset.as_secs_f64().round() as u64;
            assert_eq!(reset, 20 * (3 - u64::from(remaining)));
        }
        assert_eq!(users.check(1, 3).map_err(RetryAfter::seconds), Err(20));
        assert!(users.check(2, 3).is_ok(), "another user");
        assert!(users.check(1, 600).is_ok(), "another limit counts anew");
        clock.skip(Duration::from_secs(20));
        assert!(users.check(1, 3).is_ok());
        assert!(users.check(1, 3).is_err());
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_through() {
        assert!(PerUser::new(Stopwatch::standing_still()).check(1, 0).is_err());
    }

    #[test]
    fn idle_users_are_forgotten() {
        let clock = Stopwatch::standing_still();
        let users = PerUser::new(clock.clone());
        users.check(1, 3).unwrap();
        users.forget_idle();
        assert_eq!(users.0.keys(), 1);
        clock.skip(Duration::from_secs(120));
        users.forget_idle();
        assert_eq!(users.0.keys(), 0);
    }
}
