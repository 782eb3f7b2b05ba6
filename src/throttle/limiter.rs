//! A token bucket for each key, in bounded memory.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

/// How many at once, then one per how many seconds. Neither may be zero; zero would count as one, or as a minute.
pub(super) struct Allowance {
    pub(super) at_once: u32,
    pub(super) seconds_for_one: u64,
}

impl Allowance {
    fn quota(&self) -> Quota {
        let at_once = NonZeroU32::new(self.at_once).unwrap_or(NonZeroU32::MIN);
        let one_per = Quota::with_period(Duration::from_secs(self.seconds_for_one));
        one_per.unwrap_or(Quota::per_minute(NonZeroU32::MIN)).allow_burst(at_once)
    }
}

/// After how many whole seconds, at least one, the same request may be tried again: the header `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(u64);

impl RetryAfter {
    /// Whole seconds, rounded up.
    pub fn seconds(self) -> u64 {
        self.0
    }

    pub(super) fn at_least(wait: Duration) -> RetryAfter {
        let started = u64::from(wait.subsec_nanos() > 0);
        RetryAfter((wait.as_secs() + started).max(1))
    }
}

type Buckets<K, C> = RateLimiter<K, DashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The same allowance for each key, at most `max_keys` of them remembered.
pub(super) struct Limiter<K: Hash + Eq + Clone, C: Clock> {
    buckets: RwLock<Buckets<K, C>>,
    quota: Quota,
    max_keys: usize,
    clock: C,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    pub(super) fn new(allowance: Allowance, max_keys: usize, clock: C) -> Limiter<K, C> {
        let quota = allowance.quota();
        let buckets = RwLock::new(RateLimiter::dashmap_with_clock(quota, clock.clone()));
        Limiter { buckets, quota, max_keys, clock }
    }

    pub(super) fn check(&self, key: K) -> Result<(), RetryAfter> {
        let (result, keys) = self.read(|buckets| (buckets.check_key(&key), buckets.len()));
        if keys > self.max_keys {
            self.make_room();
        }
        result.map_err(|not_until| RetryAfter::at_least(not_until.wait_time_from(self.clock.now())))
    }

    /// Drops the idle keys; if hardly any were, starts anew. Somebody who has so many addresses is not stopped by
    /// counting them, and turning away everybody who is not remembered yet would be a lock-out that anybody can
    /// trigger: forgetting is the lesser harm. An eighth must become free, or else each new key would look through all.
    fn make_room(&self) {
        let enough = self.max_keys - self.max_keys / 8;
        let keys = self.read(|buckets| {
            buckets.retain_recent();
            buckets.len()
        });
        if keys > enough {
            let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have been faster.
            if buckets.len() > enough {
                *buckets = RateLimiter::dashmap_with_clock(self.quota, self.clock.clone());
            }
        }
    }

    pub(super) fn forget_idle(&self) {
        self.read(|buckets| {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        });
    }

    /// A poisoned lock is used as it is: the only write under it replaces the whole value.
    fn read<T>(&self, look: impl FnOnce(&Buckets<K, C>) -> T) -> T {
        look(&self.buckets.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    const THREE_A_MINUTE: Allowance = Allowance { at_once: 3, seconds_for_one: 60 };

    fn limiter(max_keys: usize) -> (Limiter<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        // At its very beginning nothing counts as idle.
        let limiter = Limiter::new(THREE_A_MINUTE, max_keys, clock.clone());
        clock.advance(Duration::from_secs(1000));
        (limiter, clock)
    }

    fn keys(limiter: &Limiter<u32, FakeRelativeClock>) -> usize {
        limiter.read(|buckets| buckets.len())
    }

    fn exhaust(limiter: &Limiter<u32, FakeRelativeClock>, key: u32) {
        assert_eq!([(); 4].map(|()| limiter.check(key).is_ok()), [true, true, true, false]);
    }

    #[test]
    fn housekeeping_forgets_the_idle_and_keeps_the_others() {
        let (limiter, clock) = limiter(1000);
        for key in 0..100 {
            limiter.check(key).unwrap();
        }
        clock.advance(Duration::from_secs(200));
        exhaust(&limiter, 7777);
        assert_eq!(keys(&limiter), 101);
        limiter.forget_idle();
        assert_eq!(keys(&limiter), 1);
        assert!(limiter.check(7777).is_err());
    }

    #[test]
    fn a_full_limiter_drops_the_idle_first() {
        let (limiter, clock) = limiter(80);
        for key in 0..79 {
            limiter.check(key).unwrap();
        }
        clock.advance(Duration::from_secs(200));
        exhaust(&limiter, 7777);
        assert_eq!(keys(&limiter), 80, "as many as fit");
        assert_eq!(limiter.check(8888), Ok(()));
        assert_eq!(keys(&limiter), 2);
        assert!(limiter.check(7777).is_err(), "still remembered");
    }

    #[test]
    fn a_full_limiter_without_idle_keys_starts_anew_and_locks_nobody_out() {
        let (limiter, _) = limiter(80);
        exhaust(&limiter, 7777);
        for key in 10_000..110_000 {
            assert_eq!(limiter.check(key), Ok(()));
            assert!(keys(&limiter) <= 80);
        }
        assert_eq!(limiter.check(7777), Ok(()));
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let seconds =
            [0, 1, 999, 1000, 1001].map(|ms| RetryAfter::at_least(Duration::from_millis(ms)).seconds());
        assert_eq!(seconds, [1, 1, 1, 1, 2]);
    }
}
