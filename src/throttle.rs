//! Throttles against guessing and flooding: token buckets for each address, and for each address with an account, on this
//! node only and in bounded memory. No account is ever locked: whoever guesses slows down themselves, not the owner.

mod fair_semaphore;
mod limiter;
mod memory;
mod per_user;

use std::net::{IpAddr, Ipv6Addr};

use governor::clock::{Clock, DefaultClock};
use sha2::{Digest, Sha256};

pub use fair_semaphore::{Bounds, FairPermit, FairSemaphore, Full};
pub use limiter::RetryAfter;
use limiter::{Allowance, Limiter};
pub use memory::{Cut, Exhausted, MemoryBudget, MemoryShare};
pub use per_user::Allowed;
use per_user::PerUser;

/// The most keys that one limiter remembers; at this bound it takes a few megabytes.
const MAX_KEYS: usize = 50_000;

const LOGIN_BY_ADDRESS: Allowance = Allowance { at_once: 10, seconds_for_one: 6 };
const LOGIN_BY_ACCOUNT: Allowance = Allowance { at_once: 5, seconds_for_one: 60 };
const REGISTRATION: Allowance = Allowance { at_once: 20, seconds_for_one: 60 };
const PANEL_SIGN_IN: Allowance = Allowance { at_once: 3, seconds_for_one: 60 };

/// All throttles of this node. Make one for the whole server and share it.
pub struct Throttle<C: Clock + Clone = DefaultClock> {
    enabled: bool,
    login_by_address: Limiter<IpAddr, C>,
    login_by_account: Limiter<AccountKey, C>,
    registration: Limiter<IpAddr, C>,
    panel_sign_in: Limiter<IpAddr, C>,
    messages: PerUser<C>,
}

impl Throttle {
    /// `enabled` false (`--throttle off`) lets everything through.
    pub fn new(enabled: bool) -> Throttle {
        Throttle::with_clock(enabled, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(enabled: bool, clock: C) -> Throttle<C> {
        Throttle {
            enabled,
            login_by_address: Limiter::new(LOGIN_BY_ADDRESS, MAX_KEYS, clock.clone()),
            login_by_account: Limiter::new(LOGIN_BY_ACCOUNT, MAX_KEYS, clock.clone()),
            registration: Limiter::new(REGISTRATION, MAX_KEYS, clock.clone()),
            panel_sign_in: Limiter::new(PANEL_SIGN_IN, MAX_KEYS, clock.clone()),
            messages: PerUser::new(clock),
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

    /// Whether anything is counted at all.
    pub fn is_on(&self) -> bool {
        self.enabled
    }

    /// Counts a message of a user who may send `limit` a minute.
    pub fn check_message(&self, user_id: i64, limit: u32) -> Result<Allowed, RetryAfter> {
        self.messages.check(user_id, limit)
    }

    /// Forgets everybody whose allowance is whole again, and gives the memory back. Call it every minute or so.
    pub fn housekeeping(&self) {
        self.login_by_address.forget_idle();
        self.login_by_account.forget_idle();
        self.registration.forget_idle();
        self.panel_sign_in.forget_idle();
        self.messages.forget_idle();
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
    use std::time::Duration;

    fn throttle() -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Throttle::with_clock(true, clock.clone()), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn wait(result: Result<(), RetryAfter>) -> Result<(), u64> {
        result.map_err(RetryAfter::seconds)
    }

    fn passed(tries: u32, mut check: impl FnMut() -> Result<(), RetryAfter>) -> u32 {
        (0..tries).map(|_| u32::from(check().is_ok())).sum()
    }

    #[test]
    fn an_address_logs_in_ten_times_and_then_once_in_six_seconds() {
        let (throttle, clock) = throttle();
        let mut account = 0;
        let mut log_in = || {
            account += 1;
            throttle.check_login(ip("192.0.2.1"), &format!("user{account}"))
        };
        assert_eq!(passed(15, &mut log_in), 10);
        assert_eq!(wait(log_in()), Err(6));
        clock.advance(Duration::from_millis(5_500));
        assert_eq!(wait(log_in()), Err(1), "half a second is rounded up");
        clock.advance(Duration::from_millis(500));
        assert_eq!(passed(5, &mut log_in), 1);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(passed(15, &mut log_in), 10);
    }

    #[test]
    fn one_account_is_tried_five_times_and_then_once_a_minute_from_one_address_only() {
        let (throttle, clock) = throttle();
        let guess = || throttle.check_login(ip("192.0.2.1"), "ada");
        assert_eq!(passed(8, guess), 5);
        assert_eq!(throttle.check_login(ip("192.0.2.1"), "bob"), Ok(()));
        assert_eq!(throttle.check_login(ip("192.0.2.2"), "ada"), Ok(()), "the owner gets in from elsewhere");
        assert_eq!(wait(guess()), Err(60));
        clock.advance(Duration::from_secs(59));
        assert_eq!(wait(guess()), Err(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(3, guess), 1);
    }

    #[test]
    fn registration_and_the_panel_have_allowances_of_their_own() {
        let (throttle, clock) = throttle();
        let register = || throttle.check_registration(ip("192.0.2.1"));
        let sign_in = || throttle.check_panel_sign_in(ip("192.0.2.1"));
        assert_eq!((passed(30, register), passed(30, sign_in)), (20, 3));
        assert_eq!((wait(register()), wait(sign_in())), (Err(60), Err(60)));
        clock.advance(Duration::from_secs(120));
        assert_eq!((passed(30, register), passed(30, sign_in)), (2, 2));
        assert_eq!(throttle.check_login(ip("192.0.2.1"), "ada"), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_origin_and_mapped_ipv4_is_ipv4() {
        let (throttle, _) = throttle();
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
    fn address_and_account_cannot_be_shifted_into_each_other() {
        assert_ne!(account_key(ip("192.0.2.1"), "1ada"), account_key(ip("192.0.2.11"), "ada"));
        assert_eq!(account_key(ip("192.0.2.1"), "ada"), account_key(ip("192.0.2.1"), "ada"));
    }
}
