//! When to retry, and why.

use std::time::Duration;

/// The time after which a client may retry a rejected request (`Retry-After`), in whole seconds and
/// at least one, and the limit that rejected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter {
    seconds: u64,
    bound: &'static str,
}

impl RetryAfter {
    /// Rounds `wait` up to whole seconds. `bound` names the limit.
    pub fn new(wait: Duration, bound: &'static str) -> RetryAfter {
        let started = u64::from(wait.subsec_nanos() > 0);
        RetryAfter { seconds: (wait.as_secs() + started).max(1), bound }
    }

    /// Returns the seconds to wait, at least one.
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// Returns the name of the limit, such as `log-ins from one address`.
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
