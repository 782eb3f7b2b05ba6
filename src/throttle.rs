//! Throttles against guessing and flooding: allowances that come back with time, for each address,
//! for each address with an account, and for each user, on this node only and in bounded memory. No
//! account is ever locked: guessing slows down only the address that guesses, not the owner. IPv6
//! addresses count by /64, and also by /56 and /48 with wider allowances.

mod attempts;
mod by_address;
mod fair_semaphore;
mod limiter;
mod memory;
mod network;
mod per_user;
mod recent;
mod retry_after;
mod stopwatch;
mod turns;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

pub use attempts::Attempt;
use attempts::{AccountKey, Attempts, account_key};
use by_address::ByAddress;
pub use fair_semaphore::{FairPermit, FairSemaphore, SemaphoreBounds, SemaphoreFull};
use limiter::{Allowance, Limiter, Remaining};
pub use memory::{Cut, Exhausted, MemoryBudget, MemoryShare};
pub use per_user::Allowed;
use per_user::PerUser;
use recent::Recent;
pub use retry_after::RetryAfter;
use stopwatch::Stopwatch;
pub use turns::{Lane, NoTurn, Turn, Turns};

/// The most keys that one limiter stores; they take a few megabytes.
const MAX_KEYS: usize = 50_000;

const REGISTRATION: Allowance = Allowance::new(20, Duration::from_secs(60));
/// Requests of guests. Hundreds of users behind one address may open pages or send an expired auth
/// token.
const GUEST: Allowance = Allowance::new(3_000, Duration::from_millis(20));
/// Changes that cost a user nothing: conversations, auth tokens, passwords, forms of the panel.
const CHANGES: Allowance = Allowance::new(600, Duration::from_millis(100));

/// The number of bytes of a response that count as one more read.
const BYTES_OF_A_READ: usize = 8 * 1024;

/// Kinds of requests that cost users no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Returns data only.
    Read,
    /// Changes something: a conversation, an auth token, a password, or a form of the panel.
    Change,
}

/// All throttles of this node. Make one for the whole server and share it.
pub struct Throttle {
    enabled: AtomicBool,
    attempts: Attempts,
    registration: ByAddress,
    guests: ByAddress,
    messages: PerUser,
    reads: Limiter<i64>,
    reads_per_minute: AtomicU32,
    changes: Limiter<i64>,
    /// Accounts that have signed in, each with the address that they came from.
    signed_in: Recent<AccountKey>,
}

impl Throttle {
    /// Makes the throttles of one server. If `enabled` is false (`--throttle off`), they allow
    /// everything. `reads_per_minute` is per user, at least 1.
    pub fn new(enabled: bool, reads_per_minute: u32) -> Throttle {
        Throttle::with_clock(enabled, reads_per_minute, &Stopwatch::start())
    }

    fn with_clock(enabled: bool, reads_per_minute: u32, clock: &Stopwatch) -> Throttle {
        Throttle {
            enabled: AtomicBool::new(enabled),
            attempts: Attempts::new(clock),
            registration: ByAddress::new(REGISTRATION, "registrations from one address", clock.clone()),
            guests: ByAddress::new(GUEST, "requests of guests from one address", clock.clone()),
            messages: PerUser::new(clock.clone()),
            reads: Limiter::new(MAX_KEYS, clock.clone()),
            reads_per_minute: AtomicU32::new(reads_per_minute),
            changes: Limiter::new(MAX_KEYS, clock.clone()),
            signed_in: Recent::new(MAX_KEYS),
        }
    }

    /// Changes the settings. What was counted before stays counted.
    pub fn change(&self, enabled: bool, reads_per_minute: u32) {
        self.enabled.store(enabled, Ordering::Relaxed);
        self.reads_per_minute.store(reads_per_minute, Ordering::Relaxed);
    }

    /// Returns whether the throttles are on.
    pub fn is_on(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    fn read_allowance(&self) -> Allowance {
        Allowance::a_minute(self.reads_per_minute.load(Ordering::Relaxed))
    }

    /// Begins an attempt to log in: 10 at once, then 1 per 6 s for an address; 5 at once, then 1
    /// per 60 s for an address with an account. `account` is the canonical name, whether it exists
    /// or not. Accounts that have signed in from the address before share another such allowance.
    /// If the allowance is used up while others from the same address are being checked, it waits
    /// for them, at most 20 s, since a success gives its allowance back.
    ///
    /// # Errors
    /// The allowance is used up.
    pub async fn begin_login(&self, from: IpAddr, account: &str) -> Result<Attempt<'_>, RetryAfter> {
        self.begin(from, account, false).await
    }

    /// Begins an attempt like [`Throttle::begin_login`], for the panel, with an additional limit of
    /// 3 at once, then 1 per 60 s for an address with an account.
    ///
    /// # Errors
    /// As for [`Throttle::begin_login`].
    pub async fn begin_panel_sign_in(&self, from: IpAddr, account: &str) -> Result<Attempt<'_>, RetryAfter> {
        self.begin(from, account, true).await
    }

    async fn begin(&self, from: IpAddr, account: &str, is_panel: bool) -> Result<Attempt<'_>, RetryAfter> {
        if !self.is_on() {
            return Ok(Attempt::unthrottled());
        }
        let is_known = self.has_signed_in(from, account);
        self.attempts.begin(from, account, is_panel, is_known).await
    }

    /// Counts an attempt to register: 20 at once, then 1 per 60 s for an address.
    ///
    /// # Errors
    /// The allowance is used up.
    pub fn check_registration(&self, from: IpAddr) -> Result<(), RetryAfter> {
        if self.is_on() { self.registration.take(from) } else { Ok(()) }
    }

    /// Counts a request without a valid auth token or session: 3000 at once, then 50 a second for
    /// an address.
    ///
    /// # Errors
    /// The allowance is used up.
    pub fn check_guest(&self, from: IpAddr) -> Result<(), RetryAfter> {
        if self.is_on() { self.guests.take(from) } else { Ok(()) }
    }

    /// Checks whether another request of a guest would be allowed, without counting it.
    ///
    /// # Errors
    /// The allowance is used up.
    pub fn peek_guest(&self, from: IpAddr) -> Result<(), RetryAfter> {
        if self.is_on() { self.guests.peek(from) } else { Ok(()) }
    }

    /// Counts a message of a user whose limit is `limit` a minute.
    ///
    /// # Errors
    /// The allowance is used up.
    pub fn check_message(&self, user_id: i64, limit: u32) -> Result<Allowed, RetryAfter> {
        self.messages.check(user_id, limit)
    }

    /// Counts a request that costs a user no tokens.
    ///
    /// # Errors
    /// The allowance is used up.
    pub fn check_unpaid(&self, user_id: i64, kind: RequestKind) -> Result<(), RetryAfter> {
        let (limiter, allowance, bound) = match kind {
            RequestKind::Read => (&self.reads, self.read_allowance(), "reads of one user in a minute"),
            RequestKind::Change => (&self.changes, CHANGES, "changes by one user in a minute"),
        };
        if !self.is_on() {
            return Ok(());
        }
        limiter.take(&user_id, allowance, 1).map(|_| ()).map_err(|wait| RetryAfter::new(wait, bound))
    }

    /// Returns what is left of a user's changes. `None` if the throttles are off.
    pub fn changes_left(&self, user_id: i64) -> Option<Allowed> {
        let Remaining { units: remaining, whole_in: reset } =
            self.is_on().then(|| self.changes.left(&user_id, CHANGES))?;
        Some(Allowed { limit: CHANGES.at_once, remaining, reset })
    }

    /// Counts the bytes of a response: each 8 KiB count as one more read. The user may go into
    /// debt.
    pub fn charge_bytes(&self, user_id: i64, bytes: usize) {
        let units = u32::try_from(bytes / BYTES_OF_A_READ).unwrap_or(u32::MAX);
        if self.is_on() && units > 0 {
            self.reads.charge(&user_id, self.read_allowance(), units);
        }
    }

    /// Records that an account has signed in from an address.
    pub fn note_sign_in(&self, from: IpAddr, account: &str) {
        self.signed_in.note(account_key(Some(from), account));
    }

    /// Returns whether an account has signed in from this address before. Each node remembers the
    /// latest 50,000 until it restarts.
    pub fn has_signed_in(&self, from: IpAddr, account: &str) -> bool {
        self.signed_in.knows(&account_key(Some(from), account))
    }

    /// Removes the entries of users and addresses whose allowance is full again, and frees the
    /// memory. The server calls it every minute or so.
    pub fn housekeeping(&self) {
        self.attempts.forget_idle();
        self.registration.forget_idle();
        self.guests.forget_idle();
        self.messages.forget_idle();
        self.reads.forget_idle();
        self.changes.forget_idle();
    }
}

#[cfg(test)]
mod tests;
