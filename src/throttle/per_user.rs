//! How many requests a minute each user may make, on this node, where each may have a limit of their own.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::RetryAfter;

type Buckets<C> = RateLimiter<i64, DashMapStateStore<i64>, C, StateInformationMiddleware>;

/// Token buckets of users, those of each limit together. There are as many limits as administrators ever set.
pub(super) struct PerUser<C: Clock + Clone = DefaultClock> {
    by_limit: RwLock<HashMap<u32, Arc<Buckets<C>>>>,
    clock: C,
}

/// What is left to a user after a request, for `x-ratelimit-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Requests in a minute.
    pub limit: u32,
    /// Requests that may follow at once.
    pub remaining: u32,
    /// Until as many as ever may follow at once.
    pub reset: Duration,
}

impl Allowed {
    /// Nothing is left of a limit.
    pub fn none_of(limit: u32) -> Allowed {
        Allowed { limit, remaining: 0, reset: Duration::from_secs(60) }
    }
}

/// How long somebody waits who may do nothing at all.
const NEVER: Duration = Duration::from_secs(3600);

impl<C: Clock + Clone> PerUser<C> {
    pub(super) fn new(clock: C) -> PerUser<C> {
        PerUser { by_limit: RwLock::default(), clock }
    }

    /// Counts a request of a user who may make `limit` a minute.
    pub(super) fn check(&self, user_id: i64, limit: u32) -> Result<Allowed, RetryAfter> {
        let Some(a_minute) = NonZeroU32::new(limit) else { return Err(RetryAfter::at_least(NEVER)) };
        match self.buckets(a_minute).check_key(&user_id) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let reset = Duration::from_secs(60) * limit.saturating_sub(remaining) / limit;
                Ok(Allowed { limit, remaining, reset })
            }
            Err(not_until) => Err(RetryAfter::at_least(not_until.wait_time_from(self.clock.now()))),
        }
    }

    fn buckets(&self, a_minute: NonZeroU32) -> Arc<Buckets<C>> {
        let known = self.by_limit.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(buckets) = known.get(&a_minute.get()) {
            return buckets.clone();
        }
        drop(known);
        let mut known = self.by_limit.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let limiter = RateLimiter::dashmap_with_clock(Quota::per_minute(a_minute), self.clock.clone());
            Arc::new(limiter.with_middleware())
        };
        known.entry(a_minute.get()).or_insert_with(make).clone()
    }

    pub(super) fn forget_idle(&self) {
        let mut known = self.by_limit.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, buckets| {
            buckets.retain_recent();
            !buckets.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    #[test]
    fn each_user_has_as_many_a_minute_as_their_own_limit_says() {
        let clock = FakeRelativeClock::default();
        let users = PerUser::new(clock.clone());
        for remaining in [2, 1, 0] {
            let allowed = users.check(1, 3).unwrap();
            assert_eq!((allowed.limit, allowed.remaining), (3, remaining));
            assert_eq!(allowed.reset, Duration::from_secs(20 * (3 - u64::from(remaining))));
        }
        assert_eq!(users.check(1, 3).map_err(RetryAfter::seconds), Err(20));
        assert!(users.check(2, 3).is_ok(), "another user");
        assert!(users.check(1, 600).is_ok(), "another limit counts anew");
        clock.advance(Duration::from_secs(20));
        assert!(users.check(1, 3).is_ok());
        assert!(users.check(1, 3).is_err());
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_through() {
        assert!(PerUser::new(FakeRelativeClock::default()).check(1, 0).is_err());
    }

    #[test]
    fn whoever_has_been_idle_is_forgotten() {
        let clock = FakeRelativeClock::default();
        let users = PerUser::new(clock.clone());
        clock.advance(Duration::from_secs(1000));
        users.check(1, 3).unwrap();
        users.forget_idle();
        assert_eq!(users.by_limit.read().unwrap().len(), 1);
        clock.advance(Duration::from_secs(120));
        users.forget_idle();
        assert!(users.by_limit.read().unwrap().is_empty());
    }
}
