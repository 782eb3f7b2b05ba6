//! When to try again, and why.

use std::time::Duration;

/// After how many whole seconds, at least one, the same request may be tried again (`Retry-After`), and which bound
/// rejected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter {
    seconds: u64,
    bound: &'static str,
}

impl RetryAfter {
    /// `wait` is rounded up to whole seconds. `bound` says what there was too much of.
    pub fn new(wait: Duration, bound: &'static str) -> RetryAfter {
        let started = u64::from(wait.subsec_nanos() > 0);
        RetryAfter { seconds: (wait.as_secs() + started).max(1), bound }
    }

    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// What there was too much of, such as `log-ins from one address`.
    pub fn bound(self) -> &'static str {
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let seconds =
            [0, 1, 999, 1000, 1001].map(|ms| RetryAfter::new(Duration::from_millis(ms), "").seconds());
        assert_eq!(seconds, [1, 1, 1, 1, 2]);
    }
}
