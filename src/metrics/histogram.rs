//! Histograms: how many observations were at most as large as each of a few bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds of a second.
const SECOND: f64 = 1_000_000_000.0;

/// What a histogram counts by.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// Observations are kept in nanoseconds and shown in seconds.
    Time,
    /// Observations are numbers of things.
    Things,
}

/// A histogram. An observation is two atomic additions.
#[derive(Debug)]
pub struct Histogram {
    unit: Unit,
    /// The upper bounds of the buckets, ascending.
    bounds: Vec<u64>,
    /// The observations in each bucket, and behind it those above the last bound.
    buckets: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// A histogram at a moment. The count is the sum of the buckets, so that the two always agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// Each bound, and how many observations were at most as large.
    pub cumulative: Vec<(f64, u64)>,
    /// The number of all observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Histogram {
    /// Makes a histogram of durations. The bounds are in microseconds.
    pub fn of_durations(bounds: &[u64]) -> Histogram {
        Histogram::new(Unit::Time, bounds.iter().map(|micros| micros.saturating_mul(1000)).collect())
    }

    /// Makes a histogram of numbers of things.
    pub fn of_things(bounds: &[u64]) -> Histogram {
        Histogram::new(Unit::Things, bounds.to_vec())
    }

    fn new(unit: Unit, bounds: Vec<u64>) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { unit, bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Adds a duration, to a histogram of durations.
    pub fn observe(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds a number, to a histogram of numbers.
    pub fn observe_number(&self, number: usize) {
        self.add(u64::try_from(number).unwrap_or(u64::MAX));
    }

    fn add(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Returns what was observed so far.
    pub fn buckets(&self) -> Buckets {
        let shown = |value: u64| match self.unit {
            Unit::Time => value as f64 / SECOND,
            Unit::Things => value as f64,
        };
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(self.bounds.len());
        for (place, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            if let Some(bound) = self.bounds.get(place) {
                cumulative.push((shown(*bound), count));
            }
        }
        Buckets { cumulative, count, sum: shown(self.sum.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_in_each_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::of_durations(&[1_000, 10_000]);
        for micros in [0, 1_000, 1_001, 10_000, 2_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let buckets = histogram.buckets();
        assert_eq!(buckets.cumulative, [(0.001, 2), (0.01, 4)]);
        assert_eq!((buckets.count, buckets.sum), (5, 2.012_001));
    }

    #[test]
    fn numbers_are_shown_as_they_are() {
        let histogram = Histogram::of_things(&[1, 64]);
        for number in [1, 2, 64, 65] {
            histogram.observe_number(number);
        }
        let buckets = histogram.buckets();
        assert_eq!(buckets, Buckets { cumulative: vec![(1.0, 1), (64.0, 3)], count: 4, sum: 132.0 });
    }
}
