//! Throttles against guessing and flooding: token buckets for each address, and for each address with an account, on this
//! node only and in bounded memory. No account is ever locked: whoever guesses slows down themselves, not the owner.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};

/// The most keys that one limiter remembers; at this bound it takes a few megabytes.
const MAX_KEYS: usize = 50_000;

/// How many at once, then one per how many seconds.
struct Allowance {
    at_once: NonZeroU32,
    seconds_for_one: u64,
}

const LOGIN_BY_ADDRESS: Allowance = Allowance::of(10, 6);
const LOGIN_BY_ACCOUNT: Allowance = Allowance::of(5, 60);
const REGISTRATION: Allowance = Allowance::of(20, 60);
const PANEL_SIGN_IN: Allowance = Allowance::of(3, 60);

/// After how many whole seconds, at least one, the same request may be tried again: the header `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(u64);

impl RetryAfter {
    pub fn seconds(self) -> u64 {
        self.0
    }

    fn at_least(wait: Duration) -> RetryAfter {
        let started = u64::from(wait.subsec_nanos() > 0);
        RetryAfter((wait.as_secs() + started).max(1))
    }
}

/// All throttles of this node. Make one for the whole server and share it.
pub struct Throttle<C: Clock + Clone = DefaultClock> {
    enabled: bool,
    login_by_address: Limiter<IpAddr, C>,
    login_by_account: Limiter<AccountKey, C>,
    registration: Limiter<IpAddr, C>,
    panel_sign_in: Limiter<IpAddr, C>,
}

impl Throttle {
    /// `enabled` false (`--throttle off`) lets everything through.
    pub fn new(enabled: bool) -> Throttle {
        Throttle::with_clock(enabled, MAX_KEYS, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(enabled: bool, max_keys: usize, clock: C) -> Throttle<C> {
        Throttle {
            enabled,
            login_by_address: Limiter::new(LOGIN_BY_ADDRESS, max_keys, clock.clone()),
            login_by_account: Limiter::new(LOGIN_BY_ACCOUNT, max_keys, clock.clone()),
            registration: Limiter::new(REGISTRATION, max_keys, clock.clone()),
            panel_sign_in: Limiter::new(PANEL_SIGN_IN, max_keys, clock),
        }
    }

    /// Counts an attempt to log in: 10 at once, then 1 per 6 s for an address; then 5 at once and 1 per 60 s for an address
    /// with an account. `account` is the canonical name, whether it exists or not.
    pub fn check_login(&self, address: IpAddr, account: &str) -> Result<(), RetryAfter> {
        if !self.enabled {
            return Ok(());
        }
        let origin = origin(address);
        self.login_by_address.check(origin)?;
        self.login_by_account.check(account_key(origin, account))
    }

    /// Counts an attempt to register: 20 at once, then 1 per 60 s for an address.
    pub fn check_registration(&self, address: IpAddr) -> Result<(), RetryAfter> {
        if self.enabled { self.registration.check(origin(address)) } else { Ok(()) }
    }

    /// Counts an attempt to sign in to the panel: 3 at once, then 1 per 60 s for an address.
    pub fn check_panel_sign_in(&self, address: IpAddr) -> Result<(), RetryAfter> {
        if self.enabled { self.panel_sign_in.check(origin(address)) } else { Ok(()) }
    }

    /// Forgets everybody whose allowance is whole again, and gives the memory back. Call it every minute or so.
    pub fn housekeeping(&self) {
        self.login_by_address.forget_idle();
        self.login_by_account.forget_idle();
        self.registration.forget_idle();
        self.panel_sign_in.forget_idle();
    }
}

type Buckets<K, C> = RateLimiter<K, DashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One allowance for each key.
struct Limiter<K: Hash + Eq + Clone, C: Clock> {
    buckets: RwLock<Buckets<K, C>>,
    quota: Quota,
    max_keys: usize,
    clock: C,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    fn new(allowance: Allowance, max_keys: usize, clock: C) -> Limiter<K, C> {
        let quota = allowance.quota();
        let buckets = RwLock::new(RateLimiter::dashmap_with_clock(quota, clock.clone()));
        Limiter { buckets, quota, max_keys, clock }
    }

    fn check(&self, key: K) -> Result<(), RetryAfter> {
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

    fn forget_idle(&self) {
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

impl Allowance {
    const fn of(at_once: u32, seconds_for_one: u64) -> Allowance {
        match NonZeroU32::new(at_once) {
            Some(at_once) if seconds_for_one > 0 => Allowance { at_once, seconds_for_one },
            _ => panic!("an allowance of nothing; this stops the build, as all of them are constants"),
        }
    }

    fn quota(&self) -> Quota {
        // `with_period` has nothing to give for a period of zero only, which `of` has ruled out.
        let period = Quota::with_period(Duration::from_secs(self.seconds_for_one));
        period.unwrap_or(Quota::per_minute(self.at_once)).allow_burst(self.at_once)
    }
}

/// What counts as one origin: an IPv4 address, also when it is written inside IPv6, or an IPv6 network of 64 bits, which
/// is the least that a single customer is given.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// A digest of origin and account, so that long names take no more memory than short ones.
type AccountKey = [u8; 16];

fn account_key(origin: IpAddr, account: &str) -> AccountKey {
    let mut digest = Sha256::new();
    digest.update(origin.to_string());
    digest.update([0]); // No address contains it.
    digest.update(account);
    let whole: [u8; 32] = digest.finalize().into();
    let mut key = AccountKey::default();
    key.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn throttle(max_keys: usize) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Throttle::with_clock(true, max_keys, clock.clone()), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn passed(tries: u32, mut check: impl FnMut() -> Result<(), RetryAfter>) -> u32 {
        (0..tries).map(|_| u32::from(check().is_ok())).sum()
    }

    #[test]
    fn an_address_logs_in_ten_times_and_then_once_in_six_seconds() {
        let (throttle, clock) = throttle(100);
        let mut account = 0;
        let mut log_in = || {
            account += 1;
            throttle.check_login(ip("192.0.2.1"), &format!("user{account}"))
        };
        assert_eq!(passed(15, &mut log_in), 10);
        assert_eq!(log_in(), Err(RetryAfter(6)));
        clock.advance(Duration::from_millis(5_500));
        assert_eq!(log_in(), Err(RetryAfter(1)), "half a second is rounded up");
        clock.advance(Duration::from_millis(500));
        assert_eq!(passed(5, &mut log_in), 1);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(passed(15, &mut log_in), 10);
    }

    #[test]
    fn one_account_is_tried_five_times_and_then_once_a_minute_from_one_address_only() {
        let (throttle, clock) = throttle(100);
        let guess = || throttle.check_login(ip("192.0.2.1"), "ada");
        assert_eq!(passed(8, guess), 5);
        assert_eq!(throttle.check_login(ip("192.0.2.1"), "bob"), Ok(()));
        assert_eq!(throttle.check_login(ip("192.0.2.2"), "ada"), Ok(()), "the owner gets in from elsewhere");
        assert_eq!(guess().unwrap_err().seconds(), 60);
        clock.advance(Duration::from_secs(59));
        assert_eq!(guess(), Err(RetryAfter(1)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(3, guess), 1);
    }

    #[test]
    fn registration_and_the_panel_have_allowances_of_their_own() {
        let (throttle, clock) = throttle(100);
        let register = || throttle.check_registration(ip("192.0.2.1"));
        let sign_in = || throttle.check_panel_sign_in(ip("192.0.2.1"));
        assert_eq!((passed(30, register), passed(30, sign_in)), (20, 3));
        assert_eq!((register(), sign_in()), (Err(RetryAfter(60)), Err(RetryAfter(60))));
        clock.advance(Duration::from_secs(120));
        assert_eq!((passed(30, register), passed(30, sign_in)), (2, 2));
        assert_eq!(throttle.check_login(ip("192.0.2.1"), "ada"), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_origin_and_mapped_ipv4_is_ipv4() {
        let (throttle, _) = throttle(100);
        assert_eq!(passed(3, || throttle.check_panel_sign_in(ip("2001:db8::1"))), 3);
        assert!(throttle.check_panel_sign_in(ip("2001:db8:0:0:ffff:ffff:ffff:ffff")).is_err());
        assert!(throttle.check_panel_sign_in(ip("2001:db8:0:1::1")).is_ok());
        assert_eq!(passed(3, || throttle.check_panel_sign_in(ip("192.0.2.1"))), 3);
        assert!(throttle.check_panel_sign_in(ip("::ffff:192.0.2.1")).is_err());
        assert!(throttle.check_panel_sign_in(ip("::ffff:192.0.2.2")).is_ok());
    }

    #[test]
    fn a_throttle_that_is_off_lets_everything_through() {
        let throttle = Throttle::new(false);
        assert_eq!(passed(100, || throttle.check_login(ip("192.0.2.1"), "ada")), 100);
        assert_eq!(passed(100, || throttle.check_registration(ip("192.0.2.1"))), 100);
        assert_eq!(passed(100, || throttle.check_panel_sign_in(ip("192.0.2.1"))), 100);
    }

    #[test]
    fn the_real_clock_throttles_too() {
        let throttle = Throttle::new(true);
        assert_eq!(passed(10, || throttle.check_panel_sign_in(ip("192.0.2.1"))), 3);
    }

    #[test]
    fn housekeeping_forgets_the_idle_and_keeps_the_others() {
        let (throttle, clock) = throttle(1000);
        clock.advance(Duration::from_secs(1000));
        for host in 0..100 {
            throttle.check_panel_sign_in(IpAddr::from([192, 0, 2, host])).unwrap();
        }
        clock.advance(Duration::from_secs(200));
        assert_eq!(passed(4, || throttle.check_panel_sign_in(ip("198.51.100.1"))), 3);
        assert_eq!(throttle.panel_sign_in.read(|buckets| buckets.len()), 101);
        throttle.housekeeping();
        assert_eq!(throttle.panel_sign_in.read(|buckets| buckets.len()), 1);
        assert!(throttle.check_panel_sign_in(ip("198.51.100.1")).is_err());
    }

    #[test]
    fn a_full_limiter_drops_the_idle_first() {
        let (throttle, clock) = throttle(80);
        clock.advance(Duration::from_secs(1000));
        for host in 0..79 {
            throttle.check_panel_sign_in(IpAddr::from([192, 0, 2, host])).unwrap();
        }
        clock.advance(Duration::from_secs(200));
        assert_eq!(passed(4, || throttle.check_panel_sign_in(ip("198.51.100.1"))), 3);
        assert!(throttle.check_panel_sign_in(ip("198.51.100.2")).is_ok(), "one more than fit");
        assert_eq!(throttle.panel_sign_in.read(|buckets| buckets.len()), 2);
        assert!(throttle.check_panel_sign_in(ip("198.51.100.1")).is_err(), "still remembered");
    }

    #[test]
    fn a_full_limiter_without_idle_keys_starts_anew_and_locks_nobody_out() {
        let (throttle, _) = throttle(80);
        assert_eq!(passed(4, || throttle.check_panel_sign_in(ip("198.51.100.1"))), 3);
        for number in 0..100_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            assert_eq!(throttle.check_panel_sign_in(address), Ok(()));
            assert!(throttle.panel_sign_in.read(|buckets| buckets.len()) <= 80);
        }
        assert!(throttle.check_panel_sign_in(ip("198.51.100.1")).is_ok());
    }

    #[test]
    fn address_and_account_cannot_be_shifted_into_each_other() {
        assert_ne!(account_key(ip("192.0.2.1"), "1ada"), account_key(ip("192.0.2.11"), "ada"));
        assert_eq!(account_key(ip("192.0.2.1"), "ada"), account_key(ip("192.0.2.1"), "ada"));
    }
}
