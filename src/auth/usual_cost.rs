//! The usual cost of the stored password hashes, so that a name that does not exist takes as long
//! as a wrong password. After `--bcrypt-cost` is lowered, the earlier hashes still cost more.

use std::sync::atomic::{AtomicU64, Ordering};

use super::password_hash::{MAX_BCRYPT_COST, bcrypt_cost_of};

/// A cost is usual if at least one in this number of hashes has it. A few expensive imported hashes
/// must not make every unknown name expensive.
const ONE_IN: u64 = 20;

/// Counts the stored hashes by cost.
#[derive(Debug)]
pub(super) struct UsualCost {
    configured: u32,
    /// The number of hashes by cost, from 0 to the highest cost.
    seen: [AtomicU64; MAX_BCRYPT_COST as usize + 1],
}

impl UsualCost {
    /// Starts without any samples. `configured` is the setting `--bcrypt-cost`.
    pub(super) fn new(configured: u32) -> UsualCost {
        UsualCost { configured, seen: Default::default() }
    }

    /// Counts a stored hash, if it is bcrypt.
    pub(super) fn learn(&self, stored: &str) {
        let cost = bcrypt_cost_of(stored).and_then(|cost| usize::try_from(cost).ok());
        if let Some(seen) = cost.and_then(|cost| self.seen.get(cost)) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the highest usual cost, or the configured one if that is higher.
    pub(super) fn get(&self) -> u32 {
        let seen = || (0..).zip(self.seen.iter().map(|seen| seen.load(Ordering::Relaxed)));
        let all: u64 = seen().map(|(_, number)| number).sum();
        let usual = seen().filter(|(_, number)| *number > 0 && number * ONE_IN >= all);
        usual.map(|(cost, _)| cost).max().unwrap_or(0).max(self.configured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(cost: u32) -> String {
        format!("bcrypt_sha256$$2b${cost:02}$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6")
    }

    #[test]
    fn the_highest_cost_that_is_usual_counts() {
        let usual = UsualCost::new(10);
        assert_eq!(usual.get(), 10);
        (0..50).for_each(|_| usual.learn(&hash(12)));
        assert_eq!(usual.get(), 12);
        (0..100).for_each(|_| usual.learn(&hash(10)));
        usual.learn(&hash(16));
        usual.learn("pbkdf2_sha256$1000$salt$hash");
        usual.learn("bcrypt_sha256$$2b$31$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6");
        usual.learn("!unusable");
        assert_eq!(usual.get(), 12, "one of 150 is not usual");
        assert_eq!(UsualCost::new(14).get(), 14);
    }
}
