//! What the present transaction of a writer has moved and ended so far. The writer adds it to the
//! metrics after COMMIT, and forgets it if the transaction is rolled back. So what is counted is
//! what was committed, each time once.
//!
//! A writer runs one transaction at a time on its own thread, so the tally is the thread's.

use std::cell::RefCell;

use crate::domain::FailureReason;
use crate::metrics::{Counter, CounterSet};

/// How a ledger entry has changed a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The balance of a new user.
    Opening,
    /// The charge of a chat.
    Charge,
    /// What a chat cost less than was held for it.
    Settlement,
    /// The charge of a chat that failed.
    Refund,
    /// The cost of a chat, given back by an administrator.
    RefundByAdministrator,
    /// Tokens that an administrator has added.
    Grant,
    /// Tokens that an administrator has removed.
    Deduction,
}

impl Moved {
    /// All kinds, in the order of [`Totals`].
    pub const ALL: [Moved; 7] = [
        Moved::Opening,
        Moved::Charge,
        Moved::Settlement,
        Moved::Refund,
        Moved::RefundByAdministrator,
        Moved::Grant,
        Moved::Deduction,
    ];

    /// Returns the name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Moved::Opening => "opening",
            Moved::Charge => "charge",
            Moved::Settlement => "settlement",
            Moved::Refund => "refund",
            Moved::RefundByAdministrator => "refund_by_administrator",
            Moved::Grant => "grant",
            Moved::Deduction => "deduction",
        }
    }
}

/// How a chat has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatEnd {
    /// It was answered.
    Complete,
    /// Its client has disconnected.
    Cancelled,
    /// It was not answered.
    Failed(FailureReason),
}

impl ChatEnd {
    /// The names in the metrics, in the order of [`Totals`].
    pub const NAMES: [&'static str; 3] = ["complete", "cancelled", "failed"];

    const fn place(self) -> usize {
        match self {
            ChatEnd::Complete => 0,
            ChatEnd::Cancelled => 1,
            ChatEnd::Failed(_) => 2,
        }
    }
}

/// What a transaction has done so far.
#[derive(Clone, Debug, Default)]
struct Tally {
    entries: [u64; Moved::ALL.len()],
    tokens: [u64; Moved::ALL.len()],
    ends: [u64; ChatEnd::NAMES.len()],
    failures: Vec<FailureReason>,
}

thread_local! {
    static TALLY: RefCell<Tally> = RefCell::default();
}

/// A state of the tally to return to.
pub(super) struct Mark(Tally);

/// Notes ledger entries of one kind, with the sum of their amounts.
pub(crate) fn note_entries(moved: Moved, count: usize, amount: i64) {
    let place = moved as usize;
    TALLY.with_borrow_mut(|tally| {
        if let (Some(entries), Some(tokens)) = (tally.entries.get_mut(place), tally.tokens.get_mut(place)) {
            *entries = entries.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            *tokens = tokens.saturating_add(amount.unsigned_abs());
        }
    });
}

/// Notes chats that have ended in one way.
pub(crate) fn note_chats(end: ChatEnd, count: usize) {
    TALLY.with_borrow_mut(|tally| {
        if let Some(ends) = tally.ends.get_mut(end.place()) {
            *ends = ends.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
        if let ChatEnd::Failed(reason) = end {
            tally.failures.extend(std::iter::repeat_n(reason, count));
        }
    });
}

/// Forgets everything: a transaction begins.
pub(super) fn reset() {
    TALLY.set(Tally::default());
}

/// Returns the present state: a savepoint begins.
pub(super) fn mark() -> Mark {
    Mark(TALLY.with_borrow(Tally::clone))
}

/// Returns to an earlier state: a savepoint was rolled back.
pub(super) fn rewind(Mark(tally): Mark) {
    TALLY.set(tally);
}

/// What was committed since the start.
#[derive(Debug)]
pub struct Totals {
    entries: [Counter; Moved::ALL.len()],
    tokens: [Counter; Moved::ALL.len()],
    ends: [Counter; ChatEnd::NAMES.len()],
    failures: CounterSet,
}

impl Default for Totals {
    fn default() -> Totals {
        let (entries, tokens, ends) = Default::default();
        let failures = CounterSet::new(FailureReason::ALL.into_iter().map(FailureReason::code));
        Totals { entries, tokens, ends, failures }
    }
}

impl Totals {
    /// Adds what this thread's transaction has done, and forgets it: the transaction is committed.
    pub(super) fn commit(&self) {
        let tally = TALLY.take();
        let add = |counters: &[Counter], amounts: &[u64]| {
            counters.iter().zip(amounts).filter(|(_, amount)| **amount > 0).for_each(|(counter, amount)| {
                counter.add(*amount);
            });
        };
        add(&self.entries, &tally.entries);
        add(&self.tokens, &tally.tokens);
        add(&self.ends, &tally.ends);
        tally.failures.iter().for_each(|reason| self.failures.of(reason.code()).increment());
    }

    /// Returns the number of ledger entries of each kind, and their tokens.
    pub fn moved(&self) -> impl Iterator<Item = (Moved, u64, u64)> {
        let counters = self.entries.iter().zip(&self.tokens);
        Moved::ALL
            .into_iter()
            .zip(counters)
            .map(|(moved, (entries, tokens))| (moved, entries.value(), tokens.value()))
    }

    /// Returns the number of chats that have ended in each way, by its name.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ChatEnd::NAMES.into_iter().zip(&self.ends).map(|(name, ends)| (name, ends.value()))
    }

    /// Returns the number of failed chats by the code of the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.failures.all().map(|(code, failures)| (code, failures.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(totals: &Totals) -> Vec<(Moved, u64, u64)> {
        totals.moved().filter(|(_, entries, _)| *entries > 0).collect()
    }

    #[test]
    fn what_was_rolled_back_is_not_counted() {
        let totals = Totals::default();
        reset();
        note_entries(Moved::Charge, 2, -200);
        let before = mark();
        note_entries(Moved::Charge, 1, -100);
        note_chats(ChatEnd::Failed(FailureReason::Stalled), 1);
        rewind(before);
        note_entries(Moved::Grant, 1, 5);
        note_chats(ChatEnd::Complete, 2);
        totals.commit();
        assert_eq!(moved(&totals), [(Moved::Charge, 2, 200), (Moved::Grant, 1, 5)]);
        assert_eq!(totals.ends().map(|(_, ends)| ends).collect::<Vec<_>>(), [2, 0, 0]);
        assert_eq!(totals.failures().map(|(_, failures)| failures).sum::<u64>(), 0);
        totals.commit();
        assert_eq!(moved(&totals).len(), 2, "it is counted once");
        note_entries(Moved::Charge, 1, -100);
        reset();
        totals.commit();
        assert_eq!(moved(&totals), [(Moved::Charge, 2, 200), (Moved::Grant, 1, 5)], "it never ended");
    }

    #[test]
    fn failures_are_counted_by_their_reason() {
        let totals = Totals::default();
        reset();
        note_chats(ChatEnd::Failed(FailureReason::Stalled), 2);
        note_chats(ChatEnd::Failed(FailureReason::Busy), 1);
        note_chats(ChatEnd::Cancelled, 1);
        totals.commit();
        let failures: Vec<_> = totals.failures().filter(|(_, failures)| *failures > 0).collect();
        assert_eq!(failures, [("busy", 1), ("stalled", 2)]);
        assert_eq!(totals.ends().collect::<Vec<_>>(), [("complete", 0), ("cancelled", 1), ("failed", 3)]);
    }

    #[test]
    fn the_kinds_are_in_the_order_of_the_totals() {
        assert!(Moved::ALL.into_iter().enumerate().all(|(place, moved)| moved as usize == place));
    }
}
