//! A semaphore that is fair by key: a user or an origin with many requests waits for its own
//! requests, not for others'.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The limits of a [`FairSemaphore`].
#[derive(Clone, Copy, Debug)]
pub struct SemaphoreBounds {
    /// The number of permits that may be held at once, at least 1.
    pub permits: usize,
    /// The number of requests that may wait, of all keys together.
    pub waiting: usize,
    /// The number of requests of one key that may wait.
    pub waiting_per_key: usize,
    /// Whether one key gets a permit only while it holds fewer than are free, so that a new key
    /// finds a free one: of 64 permits one key gets at most 32, two get 21 each, and so on. For
    /// permits that are held for long.
    pub leave_room: bool,
}

/// Why a request got no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SemaphoreFull {
    /// Too many requests of this key wait.
    Key,
    /// Too many requests wait.
    All,
}

/// Permits for limited work. A free permit goes to the key that holds the fewest; keys with equally
/// many take turns. Cheap to clone; clones share the permits.
#[derive(Debug)]
pub struct FairSemaphore<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for FairSemaphore<K> {
    fn clone(&self) -> Self {
        FairSemaphore { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<K> {
    bounds: SemaphoreBounds,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    held: usize,
    waiting: usize,
    /// Contains only keys that hold a permit or wait for one.
    keys: HashMap<K, OfKey>,
    /// Keys with waiting requests, the one whose turn is next first.
    turns: VecDeque<K>,
}

#[derive(Debug, Default)]
struct OfKey {
    held: usize,
    /// A request that gave up leaves a closed sender behind until its turn comes.
    waiting: VecDeque<oneshot::Sender<()>>,
}

/// A permit. Dropping it passes the permit on.
#[derive(Debug)]
pub struct FairPermit<K: Eq + Hash + Clone> {
    shared: Arc<Shared<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> FairSemaphore<K> {
    /// Makes a semaphore with these limits. All its permits are free.
    pub fn new(bounds: SemaphoreBounds) -> FairSemaphore<K> {
        let state = State { held: 0, waiting: 0, keys: HashMap::new(), turns: VecDeque::new() };
        FairSemaphore { shared: Arc::new(Shared { bounds, state: Mutex::new(state) }) }
    }

    /// Waits for a permit without a time limit. Dropping the future gives up.
    ///
    /// # Errors
    /// Fails at once if too many requests wait.
    pub async fn acquire(&self, key: K) -> Result<FairPermit<K>, SemaphoreFull> {
        let waiting = match self.enter(&key)? {
            None => return Ok(self.permit(key)),
            Some(granted) => Waiting { semaphore: self, key: &key, granted },
        };
        waiting.wait().await;
        Ok(self.permit(key))
    }

    /// Returns a permit if one is free for this key now and nobody waits.
    pub fn try_acquire(&self, key: K) -> Option<FairPermit<K>> {
        let taken = self.shared.lock().take_free(&self.shared.bounds, &key);
        taken.then(|| self.permit(key))
    }

    /// Returns the number of permits that are held.
    pub fn held(&self) -> usize {
        self.shared.lock().held
    }

    /// Returns the number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }

    fn permit(&self, key: K) -> FairPermit<K> {
        FairPermit { shared: self.shared.clone(), key }
    }

    /// Takes a free permit (`None`) or a place in the queue.
    fn enter(&self, key: &K) -> Result<Option<oneshot::Receiver<()>>, SemaphoreFull> {
        let bounds = &self.shared.bounds;
        let mut state = self.shared.lock();
        if state.take_free(bounds, key) {
            return Ok(None);
        }
        let own = state.keys.get(key).map_or(0, |of_key| of_key.waiting.len());
        if own >= bounds.waiting_per_key {
            return Err(SemaphoreFull::Key);
        }
        if state.waiting >= bounds.waiting {
            return Err(SemaphoreFull::All);
        }
        let (grant, granted) = oneshot::channel();
        if own == 0 {
            state.turns.push_back(key.clone());
        }
        state.keys.entry(key.clone()).or_default().waiting.push_back(grant);
        state.waiting += 1;
        Ok(Some(granted))
    }
}

/// A request in the queue. Dropping it leaves the queue, however the waiting ends.
struct Waiting<'a, K: Eq + Hash + Clone> {
    semaphore: &'a FairSemaphore<K>,
    key: &'a K,
    granted: oneshot::Receiver<()>,
}

impl<K: Eq + Hash + Clone> Waiting<'_, K> {
    async fn wait(mut self) {
        // The sender is never dropped while this waits, so there is no error to handle.
        let _ = (&mut self.granted).await;
        // The caller now has the permit, so there is nothing left to undo.
        self.granted.close();
    }
}

impl<K: Eq + Hash + Clone> Drop for Waiting<'_, K> {
    fn drop(&mut self) {
        use oneshot::error::TryRecvError;
        let shared = &self.semaphore.shared;
        let mut state = shared.lock();
        match self.granted.try_recv() {
            // The permit was granted just now, but its caller has gone.
            Ok(()) => state.release(&shared.bounds, self.key),
            Err(TryRecvError::Empty) => {
                self.granted.close();
                state.give_up(self.key);
                // This request may have been the next one.
                state.grant(&shared.bounds);
            }
            Err(TryRecvError::Closed) => {}
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for FairPermit<K> {
    fn drop(&mut self) {
        self.shared.lock().release(&self.shared.bounds, &self.key);
    }
}

impl<K> Shared<K> {
    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> State<K> {
    fn may_take(&self, bounds: &SemaphoreBounds, key: &K) -> bool {
        let free = bounds.permits.max(1).saturating_sub(self.held);
        let own = self.keys.get(key).map_or(0, |of_key| of_key.held);
        free > 0 && (!bounds.leave_room || own == 0 || own < free)
    }

    /// Takes a free permit for a newcomer, unless that overtakes a request that could have it.
    fn take_free(&mut self, bounds: &SemaphoreBounds, key: &K) -> bool {
        let own_wait = self.keys.get(key).is_some_and(|of_key| !of_key.waiting.is_empty());
        let overtakes = self.turns.iter().any(|waiting| self.may_take(bounds, waiting));
        if own_wait || overtakes || !self.may_take(bounds, key) {
            return false;
        }
        self.held += 1;
        self.keys.entry(key.clone()).or_default().held += 1;
        true
    }

    fn release(&mut self, bounds: &SemaphoreBounds, key: &K) {
        self.held = self.held.saturating_sub(1);
        if let Some(of_key) = self.keys.get_mut(key) {
            of_key.held = of_key.held.saturating_sub(1);
        }
        self.forget_if_idle(key);
        self.grant(bounds);
    }

    /// Grants free permits to waiting requests: first to the key that holds the fewest, then in
    /// turn.
    fn grant(&mut self, bounds: &SemaphoreBounds) {
        loop {
            let held = |key: &K| self.keys.get(key).map_or(0, |of_key| of_key.held);
            let able = self.turns.iter().enumerate().filter(|(_, key)| self.may_take(bounds, key));
            let Some((place, _)) = able.min_by_key(|(place, key)| (held(key), *place)) else { return };
            let Some(key) = self.turns.remove(place) else { return };
            let Some(of_key) = self.keys.get_mut(&key) else { continue };
            let granted = of_key.waiting.pop_front().is_some_and(|grant| grant.send(()).is_ok());
            self.waiting = self.waiting.saturating_sub(1);
            if granted {
                of_key.held += 1;
                self.held += 1;
            }
            if !of_key.waiting.is_empty() {
                self.turns.push_back(key);
            } else {
                self.forget_if_idle(&key);
            }
        }
    }

    /// Removes the closed request of a key.
    fn give_up(&mut self, key: &K) {
        let Some(of_key) = self.keys.get_mut(key) else { return };
        let before = of_key.waiting.len();
        of_key.waiting.retain(|grant| !grant.is_closed());
        self.waiting = self.waiting.saturating_sub(before - of_key.waiting.len());
        if of_key.waiting.is_empty() {
            self.turns.retain(|waiting| waiting != key);
        }
        self.forget_if_idle(key);
    }

    fn forget_if_idle(&mut self, key: &K) {
        if self.keys.get(key).is_some_and(|of_key| of_key.held == 0 && of_key.waiting.is_empty()) {
            self.keys.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
