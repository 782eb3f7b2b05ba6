//! Allowances that come back with time, one for each key, in bounded memory.
//!
//! This is the generic cell rate algorithm: for each key it stores only the time at which its
//! allowance is full again. Unlike the available libraries, it can give an allowance back, and
//! charge one afterwards, when the cost is known.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stopwatch::{Stopwatch, nanos};

/// The number of units that may be used at once, and the time until each further unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) at_once: u32,
    /// Nanoseconds.
    one_in: u64,
}

impl Allowance {
    pub(super) const fn new(at_once: u32, one_in: Duration) -> Allowance {
        Allowance { at_once, one_in: one_in.as_nanos() as u64 }
    }

    /// Returns an allowance of `number` a minute, all of which may be used at once. `number` is at
    /// least 1.
    pub(super) fn a_minute(number: u32) -> Allowance {
        Allowance { at_once: number, one_in: nanos(Duration::from_secs(60)) / u64::from(number.max(1)) }
    }

    /// Returns an allowance that is `width` times as large.
    pub(super) fn for_width(self, width: u32) -> Allowance {
        Allowance {
            at_once: self.at_once.saturating_mul(width),
            one_in: self.one_in / u64::from(width.max(1)),
        }
    }

    fn cost(self, units: u32) -> u64 {
        self.one_in.saturating_mul(units.into())
    }

    /// Returns the nanoseconds until an empty allowance is full again.
    fn whole(self) -> u64 {
        self.cost(self.at_once)
    }
}

/// The rest of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remaining {
    /// Units that may be used at once.
    pub units: u32,
    /// The time until the allowance is full again.
    pub whole_in: Duration,
}

/// Keys are spread over this many tables, so that cores rarely wait for each other.
const TABLES: usize = 16;

/// Allowances by key. The caller passes the allowance each time; it must be the same for the same
/// key.
pub(super) struct Limiter<K> {
    /// For each key, the time at which its allowance is full again.
    tables: Vec<Mutex<HashMap<K, u64>>>,
    most_in_table: usize,
    hashes: RandomState,
    clock: Stopwatch,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(super) fn new(max_keys: usize, clock: Stopwatch) -> Limiter<K> {
        let tables = if max_keys < TABLES * TABLES { 1 } else { TABLES };
        Limiter {
            tables: (0..tables).map(|_| Mutex::default()).collect(),
            most_in_table: (max_keys / tables).max(1),
            hashes: RandomState::new(),
            clock,
        }
    }

    /// Takes `units` from the allowance of a key.
    ///
    /// # Errors
    /// Too few units are left. Nothing was taken. The error is the time to wait.
    pub(super) fn take(&self, key: &K, allowance: Allowance, units: u32) -> Result<Remaining, Duration> {
        let now = self.clock.now();
        let mut table = self.table(key);
        let whole_at = wait(table.get(key), allowance, units, now)?;
        self.store(&mut table, key, whole_at, now);
        Ok(remaining(allowance, whole_at.saturating_sub(now)))
    }

    /// Returns what is left of the allowance of a key.
    pub(super) fn left(&self, key: &K, allowance: Allowance) -> Remaining {
        let now = self.clock.now();
        let whole_at = self.table(key).get(key).copied().unwrap_or(now);
        remaining(allowance, whole_at.saturating_sub(now))
    }

    /// Checks whether `units` could be taken, without taking them.
    ///
    /// # Errors
    /// As for [`Limiter::take`].
    pub(super) fn peek(&self, key: &K, allowance: Allowance, units: u32) -> Result<(), Duration> {
        wait(self.table(key).get(key), allowance, units, self.clock.now()).map(|_| ())
    }

    /// Takes `units` even if fewer are left. The key then waits until the debt is paid, at most
    /// twice as long as its whole allowance takes to come back.
    pub(super) fn charge(&self, key: &K, allowance: Allowance, units: u32) {
        let now = self.clock.now();
        let mut table = self.table(key);
        let since = table.get(key).map_or(now, |whole_at| now.max(*whole_at));
        let most = now.saturating_add(allowance.whole().saturating_mul(2));
        let whole_at = since.saturating_add(allowance.cost(units)).min(most.max(since));
        self.store(&mut table, key, whole_at, now);
    }

    /// Returns `units` that were taken before.
    pub(super) fn give_back(&self, key: &K, allowance: Allowance, units: u32) {
        let mut table = self.table(key);
        if let Some(whole_at) = table.get_mut(key) {
            *whole_at = whole_at.saturating_sub(allowance.cost(units));
        }
    }

    /// Removes the keys whose allowance is full again, and frees the memory.
    pub(super) fn forget_idle(&self) {
        for table in &self.tables {
            let (now, mut table) = (self.clock.now(), lock(table));
            table.retain(|_, whole_at| *whole_at > now);
            table.shrink_to_fit();
        }
    }

    fn store(&self, table: &mut HashMap<K, u64>, key: &K, whole_at: u64, now: u64) {
        if let Some(stored) = table.get_mut(key) {
            *stored = whole_at;
            return;
        }
        if table.len() >= self.most_in_table {
            make_room(table, self.most_in_table, now);
        }
        table.insert(key.clone(), whole_at);
    }

    fn table(&self, key: &K) -> MutexGuard<'_, HashMap<K, u64>> {
        // There is at least one table, and the remainder is below their number.
        let place = self.hashes.hash_one(key) as usize % self.tables.len();
        lock(&self.tables[place])
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.tables.iter().map(|table| lock(table).len()).sum()
    }
}

/// Returns what is left of an allowance that is full again after `spent` nanoseconds.
fn remaining(allowance: Allowance, spent: u64) -> Remaining {
    let units = allowance.whole().saturating_sub(spent) / allowance.one_in.max(1);
    Remaining { units: u32::try_from(units).unwrap_or(u32::MAX), whole_in: Duration::from_nanos(spent) }
}

/// Ignores poisoning: no code under the lock can panic half-way through a change, so the state is
/// consistent.
fn lock<K>(table: &Mutex<HashMap<K, u64>>) -> MutexGuard<'_, HashMap<K, u64>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the time at which the allowance is full again after taking `units`, or the time to wait
/// for them.
fn wait(stored: Option<&u64>, allowance: Allowance, units: u32, now: u64) -> Result<u64, Duration> {
    let since = stored.map_or(now, |whole_at| now.max(*whole_at));
    let whole_at = since.saturating_add(allowance.cost(units));
    match whole_at.saturating_sub(now).checked_sub(allowance.whole()) {
        None | Some(0) => Ok(whole_at),
        Some(too_much) => Err(Duration::from_nanos(too_much)),
    }
}

/// Removes the keys whose allowance is full again. If these are few, it also removes the keys that
/// have used the least. So requests from many addresses cannot make it forget a used-up allowance,
/// and no new key is rejected. It frees an eighth, so that not every new key searches all of them.
fn make_room<K: Hash + Eq>(table: &mut HashMap<K, u64>, most: usize, now: u64) {
    table.retain(|_, whole_at| *whole_at > now);
    let enough = (most - most / 8).min(most - 1);
    let Some(mut surplus) = table.len().checked_sub(enough).filter(|surplus| *surplus > 0) else { return };
    let mut times: Vec<u64> = table.values().copied().collect();
    let (_, edge, _) = times.select_nth_unstable(surplus - 1);
    let edge = *edge;
    table.retain(|_, whole_at| {
        let goes = surplus > 0 && *whole_at <= edge;
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_A_MINUTE: Allowance = Allowance::new(3, Duration::from_secs(60));

    fn limiter(max_keys: usize) -> (Limiter<u32>, Stopwatch) {
        let clock = Stopwatch::standing_still();
        (Limiter::new(max_keys, clock.clone()), clock)
    }

    fn check(limiter: &Limiter<u32>, key: u32) -> bool {
        limiter.take(&key, THREE_A_MINUTE, 1).is_ok()
    }

    fn exhaust(limiter: &Limiter<u32>, key: u32) {
        assert_eq!([(); 4].map(|()| check(limiter, key)), [true, true, true, false]);
    }

    #[test]
    fn housekeeping_forgets_the_idle_and_keeps_the_others() {
        let (limiter, clock) = limiter(1000);
        for key in 0..100 {
            assert!(check(&limiter, key));
        }
        clock.skip(Duration::from_secs(200));
        exhaust(&limiter, 7777);
        assert_eq!(limiter.keys(), 101);
        limiter.forget_idle();
        assert_eq!(limiter.keys(), 1);
        assert!(!check(&limiter, 7777));
    }

    #[test]
    fn a_full_limiter_drops_the_idle_first() {
        let (limiter, clock) = limiter(80);
        for key in 0..79 {
            assert!(check(&limiter, key));
        }
        clock.skip(Duration::from_secs(200));
        exhaust(&limiter, 7777);
        assert_eq!(limiter.keys(), 80, "as many as fit");
        assert!(check(&limiter, 8888));
        assert_eq!(limiter.keys(), 2);
        assert!(!check(&limiter, 7777), "still remembered");
    }

    #[test]
    fn many_addresses_lock_nobody_out_and_do_not_reset_an_exhausted_allowance() {
        for max_keys in [1, 2, 80, 1000] {
            let (limiter, _) = limiter(max_keys);
            exhaust(&limiter, 7777);
            for key in 10_000..60_000 {
                assert!(check(&limiter, key));
                assert!(limiter.keys() <= max_keys.max(1));
            }
            assert_eq!(check(&limiter, 7777), max_keys < 2, "{max_keys}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (limiter, _) = limiter(80);
        exhaust(&limiter, 1);
        limiter.give_back(&1, THREE_A_MINUTE, 1);
        assert!(check(&limiter, 1) && !check(&limiter, 1));
        limiter.give_back(&2, THREE_A_MINUTE, 1);
        exhaust(&limiter, 2);
    }

    #[test]
    fn what_is_charged_afterwards_makes_a_debt_with_a_bound() {
        let (limiter, clock) = limiter(80);
        limiter.charge(&1, THREE_A_MINUTE, 5);
        assert!(!check(&limiter, 1));
        clock.skip(Duration::from_secs(170));
        assert!(!check(&limiter, 1));
        clock.skip(Duration::from_secs(11));
        assert!(check(&limiter, 1));
        limiter.charge(&2, THREE_A_MINUTE, 1_000_000);
        clock.skip(Duration::from_secs(6 * 60));
        exhaust(&limiter, 2);
    }
}
