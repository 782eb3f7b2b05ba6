//! Reproducible randomness.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Returns a seed and prints it. `TOLLGATE_TEST_SEED` repeats a test with the same seed.
pub fn seed() -> u64 {
    let seed = match std::env::var("TOLLGATE_TEST_SEED") {
        Ok(text) => text.parse().expect("TOLLGATE_TEST_SEED must be a number"),
        Err(_) => rand::random(),
    };
    println!("to repeat this test: TOLLGATE_TEST_SEED={seed}");
    seed
}

/// Random numbers from a seed.
pub struct Dice(StdRng);

impl Dice {
    pub fn new() -> Dice {
        Dice(StdRng::seed_from_u64(seed()))
    }

    /// Returns a number in the range.
    pub fn pick(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }
}
