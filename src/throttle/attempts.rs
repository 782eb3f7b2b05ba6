//! Attempts to log in. A failure uses up its allowance, and a success returns it. If none is left
//! while others from the same address are being checked, an attempt waits for them: a class that
//! logs in at once succeeds, and waiting gives a guesser no more attempts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::by_address::ByAddress;
use super::limiter::{Allowance, Limiter};
use super::network::Network;
use super::stopwatch::Stopwatch;
use super::{MAX_KEYS, RetryAfter};

const BY_ADDRESS: Allowance = Allowance::new(10, Duration::from_secs(6));
const BY_ACCOUNT: Allowance = Allowance::new(5, Duration::from_secs(60));
const PANEL: Allowance = Allowance::new(3, Duration::from_secs(60));
/// How often the successes of one account return their allowance.
const RETURNS: Allowance = Allowance::new(30, Duration::from_secs(2));

const BOUND_OF_ADDRESS: &str = "log-ins from one address";
const BOUND_OF_PANEL: &str = "sign-ins to the panel with one name from one address";
const BOUND_OF_ACCOUNT: &str = "log-ins to one account from one address";

/// The most attempts of one origin that wait for others to be checked.
const MOST_WAITING: usize = 32;
/// The default of [`Attempts::patience`].
const PATIENCE: Duration = Duration::from_secs(20);

/// The digest of an account's name, so that long names take no more memory than short ones.
pub(super) type AccountKey = [u8; 16];

/// The allowances of log-ins, and the attempts that are being checked.
pub(super) struct Attempts {
    strangers: ByAddress,
    /// For accounts that have signed in from the same origin before, so that guesses of their
    /// neighbours there, or in the wider network, do not lock them out.
    known: ByAddress,
    /// By origin and account.
    by_account: Limiter<AccountKey>,
    /// By origin and account, for the panel.
    panel: Limiter<AccountKey>,
    /// By account alone.
    returns: Limiter<AccountKey>,
    /// By origin. Only contains origins with an attempt that is being checked.
    checking: Mutex<HashMap<Network, Checking>>,
    /// How long an attempt waits for others in total.
    patience: Duration,
}

#[derive(Default)]
struct Checking {
    number: usize,
    waiting: usize,
    ended: Arc<Notify>,
}

/// The address and the account of an attempt.
#[derive(Clone, Copy)]
struct Subject {
    from: IpAddr,
    account: AccountKey,
    account_from: AccountKey,
    is_panel: bool,
    is_known: bool,
}

/// An attempt that is being checked. Unless it succeeds, its allowance is used up.
#[must_use = "dropping it counts as a failure"]
pub struct Attempt<'a> {
    /// `None` if throttles are off.
    under_way: Option<(&'a Attempts, Subject)>,
}

impl Attempts {
    pub(super) fn new(clock: &Stopwatch) -> Attempts {
        Attempts {
            strangers: ByAddress::new(BY_ADDRESS, BOUND_OF_ADDRESS, clock.clone()),
            known: ByAddress::new(BY_ADDRESS, BOUND_OF_ADDRESS, clock.clone()),
            by_account: Limiter::new(MAX_KEYS, clock.clone()),
            panel: Limiter::new(MAX_KEYS, clock.clone()),
            returns: Limiter::new(MAX_KEYS, clock.clone()),
            checking: Mutex::default(),
            patience: PATIENCE,
        }
    }

    pub(super) async fn begin(
        &self,
        from: IpAddr,
        account: &str,
        is_panel: bool,
        is_known: bool,
    ) -> Result<Attempt<'_>, RetryAfter> {
        let (account, account_from) = (account_key(None, account), account_key(Some(from), account));
        let subject = Subject { from, account, account_from, is_panel, is_known };
        let (until, mut is_late) = (Instant::now() + self.patience, false);
        loop {
            let (ended, _waiting) = {
                let mut checking = self.checking();
                let Err(wait) = self.take(&subject) else {
                    checking.entry(Network::origin(from)).or_default().number += 1;
                    return Ok(Attempt { under_way: Some((self, subject)) });
                };
                let others = checking.get_mut(&Network::origin(from));
                let Some(others) = others.filter(|others| others.waiting < MOST_WAITING && !is_late) else {
                    return Err(wait);
                };
                others.waiting += 1;
                // Subscribe here, so that attempts that end before the first poll are noticed, too.
                let ended = others.ended.clone();
                (ended.clone().notified_owned(), Waiting { attempts: self, from, ended })
            };
            is_late = timeout_at(until, ended).await.is_err();
        }
    }

    /// Takes all allowances, or none of them. The caller holds the lock, so nobody else can take
    /// one in between.
    fn take(&self, subject: &Subject) -> Result<(), RetryAfter> {
        let Subject { from, account_from, is_panel, .. } = subject;
        let by_address = self.by_address(subject);
        if *is_panel {
            let left = self.panel.peek(account_from, PANEL, 1);
            left.map_err(|wait| RetryAfter::new(wait, BOUND_OF_PANEL))?;
        }
        by_address.peek(*from)?;
        let left = self.by_account.take(account_from, BY_ACCOUNT, 1);
        left.map_err(|wait| RetryAfter::new(wait, BOUND_OF_ACCOUNT))?;
        by_address.take(*from)?;
        if *is_panel {
            let left = self.panel.take(account_from, PANEL, 1);
            left.map_err(|wait| RetryAfter::new(wait, BOUND_OF_PANEL))?;
        }
        Ok(())
    }

    /// Returns what this attempt has taken, and nothing else: the failures of others, and earlier
    /// ones of this account, stay counted.
    fn give_back(&self, subject: &Subject) {
        if self.returns.take(&subject.account, RETURNS, 1).is_err() {
            return;
        }
        self.by_address(subject).give_back(subject.from);
        self.by_account.give_back(&subject.account_from, BY_ACCOUNT, 1);
        if subject.is_panel {
            self.panel.give_back(&subject.account_from, PANEL, 1);
        }
    }

    fn by_address(&self, subject: &Subject) -> &ByAddress {
        if subject.is_known { &self.known } else { &self.strangers }
    }

    fn end(&self, from: IpAddr) {
        let (mut checking, origin) = (self.checking(), Network::origin(from));
        let Some(of_origin) = checking.get_mut(&origin) else { return };
        of_origin.number = of_origin.number.saturating_sub(1);
        of_origin.ended.notify_waiters();
        if of_origin.number == 0 {
            checking.remove(&origin);
        }
    }

    pub(super) fn forget_idle(&self) {
        self.strangers.forget_idle();
        self.known.forget_idle();
        self.panel.forget_idle();
        self.by_account.forget_idle();
        self.returns.forget_idle();
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn checking(&self) -> MutexGuard<'_, HashMap<Network, Checking>> {
        self.checking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt in the queue. Dropping it leaves the queue, however the waiting ends.
struct Waiting<'a> {
    attempts: &'a Attempts,
    from: IpAddr,
    ended: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut checking = self.attempts.checking();
        let others = checking.get_mut(&Network::origin(self.from));
        // The queue of this attempt may be gone, and another one may have formed.
        if let Some(others) = others.filter(|others| Arc::ptr_eq(&others.ended, &self.ended)) {
            others.waiting = others.waiting.saturating_sub(1);
        }
    }
}

impl Attempt<'_> {
    pub(super) const fn unthrottled() -> Attempt<'static> {
        Attempt { under_way: None }
    }

    /// Returns the allowance, at most 30 times a minute for one account.
    pub fn succeeded(self) {
        if let Some((attempts, subject)) = &self.under_way {
            attempts.give_back(subject);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some((attempts, subject)) = &self.under_way {
            attempts.end(subject.from);
        }
    }
}

/// Returns the key of an account, together with an origin if there is one.
pub(super) fn account_key(from: Option<IpAddr>, account: &str) -> AccountKey {
    let mut digest = Sha256::new();
    if let Some(from) = from {
        digest.update(Network::origin(from).to_bytes());
    }
    digest.update(account);
    let whole: [u8; 32] = digest.finalize().into();
    let mut key = AccountKey::default();
    key.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_that_waited_too_long_is_rejected_with_a_retry_time() {
        let clock = Stopwatch::standing_still();
        let attempts = Attempts { patience: Duration::from_millis(20), ..Attempts::new(&clock) };
        let from = "192.0.2.1".parse().unwrap();
        let mut under_way = Vec::new();
        for number in 0..10 {
            under_way.push(attempts.begin(from, &format!("pupil {number}"), false, false).await.unwrap());
        }
        let late = attempts.begin(from, "one more", false, false).await;
        assert_eq!(late.map(drop).map_err(RetryAfter::seconds), Err(6));
        assert_eq!(attempts.checking().values().map(|others| others.waiting).sum::<usize>(), 0);
        // Those that others waited for are checked all the same.
        under_way.pop().unwrap().succeeded();
        assert!(attempts.begin(from, "one more", false, false).await.is_ok());
    }
}
