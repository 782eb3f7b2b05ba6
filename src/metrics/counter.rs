//! Numbers that many threads change at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of what is not in a [`CounterSet`].
const OTHER: &str = "other";

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds an amount.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Returns the number.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters for names that are known in advance, and one for all other names. So a scrape has a
/// bounded number of series, and each of them from the start.
#[derive(Debug)]
pub struct CounterSet {
    /// In order.
    names: Vec<&'static str>,
    counters: Vec<Counter>,
    other: Counter,
}

impl CounterSet {
    /// Makes the counters of these names.
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> CounterSet {
        let mut names: Vec<&'static str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let counters = names.iter().map(|_| Counter::default()).collect();
        CounterSet { names, counters, other: Counter::default() }
    }

    /// Returns the counter of a name.
    pub fn of(&self, name: &str) -> &Counter {
        let place = self.names.binary_search(&name).ok();
        place.and_then(|place| self.counters.get(place)).unwrap_or(&self.other)
    }

    /// Returns all counters with their names. The last one is `other`.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        let named = self.names.iter().copied().zip(&self.counters);
        named.chain(std::iter::once((OTHER, &self.other)))
    }
}

/// The number of things that there are now. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicU64>);

/// One of the things that a [`Level`] counts, until it is dropped.
#[derive(Debug)]
pub struct Held(Arc<AtomicU64>);

impl Level {
    /// Counts one more, until the result is dropped.
    pub fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self.0.clone())
    }

    /// Returns the number.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_in_the_set_counts_as_other() {
        let set = CounterSet::new(["b", "a", "b"]);
        set.of("a").increment();
        set.of("b").add(5);
        set.of("whatever a client sends").increment();
        set.of("").increment();
        let all: Vec<_> = set.all().map(|(name, counter)| (name, counter.value())).collect();
        assert_eq!(all, [("a", 1), ("b", 5), ("other", 2)]);
    }

    #[test]
    fn a_level_falls_when_what_it_counts_is_dropped() {
        let level = Level::default();
        let (one, two) = (level.hold(), level.clone().hold());
        assert_eq!(level.value(), 2);
        drop(one);
        assert_eq!(level.value(), 1);
        drop(two);
        assert_eq!(level.value(), 0);
    }
}
