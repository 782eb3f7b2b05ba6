//! Percentiles of measured times.

use std::time::Duration;

/// Measured times, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn new(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the percentile `share` (0 to 1), in milliseconds.
    fn at(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default().as_secs_f64() * 1000.0
    }

    pub fn print(&self, name: &str) {
        for (percentile, share) in PERCENTILES {
            println!("{name}_{percentile} {:.3} ms", self.at(share));
        }
    }

    /// Prints how much each percentile exceeds that of the times without Tollgate.
    pub fn print_added(&self, name: &str, without: &Times) {
        for (percentile, share) in PERCENTILES {
            println!("{name}_added_{percentile} {:.3} ms", self.at(share) - without.at(share));
        }
    }
}

const PERCENTILES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];
