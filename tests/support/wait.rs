//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Calls `condition` until it returns something. Fails with `what` if that takes longer than
/// `limit`.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
