//! Recently seen keys, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys in the order in which they were last seen. If there are too many, the half that was seen
/// longest ago is removed.
pub(super) struct Recent<K> {
    state: Mutex<State<K>>,
    most: usize,
}

struct State<K> {
    /// For each key, when it was last seen, as an ascending number.
    seen: HashMap<K, u64>,
    number: u64,
}

impl<K: Hash + Eq> Recent<K> {
    pub(super) fn new(most: usize) -> Recent<K> {
        Recent { state: Mutex::new(State { seen: HashMap::new(), number: 0 }), most: most.max(2) }
    }

    pub(super) fn note(&self, key: K) {
        let mut state = self.lock();
        state.number += 1;
        let number = state.number;
        if state.seen.len() >= self.most && !state.seen.contains_key(&key) {
            let mut numbers: Vec<u64> = state.seen.values().copied().collect();
            let (_, middle, _) = numbers.select_nth_unstable(self.most / 2);
            let middle = *middle;
            state.seen.retain(|_, seen| *seen > middle);
        }
        state.seen.insert(key, number);
    }

    pub(super) fn knows(&self, key: &K) -> bool {
        self.lock().seen.contains_key(key)
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_lately_is_known_and_the_memory_is_bounded() {
        let recent = Recent::new(100);
        recent.note(1);
        for key in 1000..2000 {
            recent.note(key);
            recent.note(1);
            assert!(recent.lock().seen.len() <= 100);
        }
        assert!(recent.knows(&1) && recent.knows(&1999) && !recent.knows(&1000));
    }
}
