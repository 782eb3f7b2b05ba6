//! One memory budget for everything that clients make the server hold: unfinished heads, bodies,
//! and responses that they have not yet read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// How long a request waits for memory before it is rejected.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };
/// How long a request waits for other requests of its own user to end. A client that sends one
/// after the other may be quicker than the end of the one before.
const OWN_PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 500 });
/// Only a holder that has held memory for this long can be slow. The bytes that it moves are
/// counted in spans of this length.
const SETTLED: Duration = Duration::from_secs(2);
/// A holder is slow if it has lately moved fewer bytes per second than this, however much it moved
/// before.
const SLOW: u64 = 128 * 1024;
/// How often the server looks for slow holders while a request waits: one may become slow only
/// then.
const STEP: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 250 });
/// The share of one user: the budget divided by this, unless a single request needs more.
const USERS: u64 = 4;

/// Why a request gets no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// The budget is used up, and not enough was freed in time.
    Budget,
    /// The user holds the most memory that one user may hold.
    User,
}

/// Closes a connection from anywhere. Clones close the same connection.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<CutState>);

#[derive(Debug, Default)]
struct CutState {
    is_cut: AtomicBool,
    connection: AtomicWaker,
}

impl Cut {
    /// Tells the connection to close at once.
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
        self.0.connection.wake();
    }

    /// Returns `Ready` when the connection must close.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.connection.register(cx.waker());
        if self.0.is_cut.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The memory budget of the whole server. Cheap to clone; clones share the bytes.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Bytes.
    limit: u64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    next_id: u64,
    holders: HashMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    bytes: u64,
    /// Bytes that the client has sent or taken in this span of time, and in the one before.
    moved: [u64; 2],
    span_since: Instant,
    /// The id of the user who sent the request, if known.
    user: Option<i64>,
    /// When the share began, excluding the time for which it waited for memory.
    since: Instant,
    waits: bool,
    /// Closes the connection that holds the memory. `None` if it cannot be closed.
    cut: Option<Cut>,
    /// Whether the connection was told to close, so that its bytes will soon be free.
    is_cut: bool,
}

impl Holder {
    fn is_slow(&mut self, now: Instant) -> bool {
        self.turn_to(now);
        let age = now.saturating_duration_since(self.since);
        !self.waits && age >= SETTLED && self.moved.iter().sum::<u64>() < SLOW * SETTLED.as_secs()
    }

    /// Begins a new span if the current one is over.
    fn turn_to(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.span_since);
        if since >= SETTLED {
            self.moved = [0, if since < SETTLED * 2 { self.moved[0] } else { 0 }];
            self.span_since = now;
        }
    }
}

impl MemoryBudget {
    /// Makes a budget of `limit` bytes.
    pub fn new(limit: u64) -> MemoryBudget {
        MemoryBudget(Arc::new(Shared { limit, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Returns the bytes that may be in use.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Returns the bytes in use.
    pub fn used(&self) -> u64 {
        self.0.lock().used
    }

    /// Returns whether more than half of the budget is used.
    pub fn is_tight(&self) -> bool {
        self.used() > self.0.limit / 2
    }

    /// Returns a share that holds nothing yet. When memory runs out and this share is the largest
    /// slow one, its connection is closed.
    pub fn share(&self, cut: Option<Cut>) -> MemoryShare {
        let mut state = self.0.lock();
        let id = state.next_id;
        state.next_id += 1;
        let now = Instant::now();
        let holder = Holder {
            bytes: 0,
            moved: [0, 0],
            span_since: now,
            user: None,
            since: now,
            waits: false,
            cut,
            is_cut: false,
        };
        state.holders.insert(id, holder);
        MemoryShare { shared: self.0.clone(), id }
    }
}

impl Shared {
    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, id: u64, bytes: u64) {
        self.used += bytes;
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.bytes += bytes;
        }
    }

    /// Returns the bytes that must stay free when a share takes more: as many as its user then
    /// holds, so that others find room. A user who is alone may take everything with one request.
    ///
    /// # Errors
    /// [`Exhausted::User`]: the user has several requests and would hold more than one user may.
    fn room(&self, id: u64, bytes: u64, limit: u64) -> Result<u64, Exhausted> {
        let Some(user) = self.holders.get(&id).and_then(|holder| holder.user) else { return Ok(0) };
        let (mut own, mut is_alone, mut is_only) = (bytes, true, true);
        for (other, holder) in &self.holders {
            if holder.user == Some(user) {
                own += holder.bytes;
                is_only &= *other == id || holder.bytes == 0;
            } else {
                is_alone &= holder.user.is_none() || holder.bytes == 0;
            }
        }
        match (is_only, is_alone) {
            (false, _) if own > limit / USERS => Err(Exhausted::User),
            (true, true) => Ok(0),
            _ => Ok(own),
        }
    }

    fn wait(&mut self, id: u64) {
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.waits = true;
        }
    }

    /// Closes the connections of slow holders, the largest first, until `bytes` more are free or
    /// soon will be.
    fn relieve(&mut self, bytes: u64, limit: u64) {
        let now = Instant::now();
        let ending: u64 =
            self.holders.values().filter(|holder| holder.is_cut).map(|holder| holder.bytes).sum();
        let mut left = self.used.saturating_add(bytes).saturating_sub(ending);
        while left > limit {
            let slow = self
                .holders
                .values_mut()
                .filter_map(|holder| (holder.cut.is_some() && holder.is_slow(now)).then_some(holder));
            let Some(largest) = slow.max_by_key(|holder| holder.bytes) else { return };
            let Some(cut) = largest.cut.take() else { return };
            largest.is_cut = true;
            left = left.saturating_sub(largest.bytes);
            log::warn!(
                "--memory-budget is used up: closed a slow connection that held {} bytes",
                largest.bytes
            );
            cut.cut();
        }
    }
}

/// A part of the budget. Dropping it returns its bytes.
#[derive(Debug)]
pub struct MemoryShare {
    shared: Arc<Shared>,
    id: u64,
}

impl MemoryShare {
    /// Counts the share towards the memory of this user from now on.
    pub fn belong_to(&mut self, user_id: i64) {
        if let Some(holder) = self.shared.lock().holders.get_mut(&self.id) {
            holder.user = Some(user_id);
        }
    }

    /// Takes more bytes. While none are left it closes slow connections and waits for a few
    /// seconds.
    ///
    /// # Errors
    /// Not enough was freed in time, or the user holds too much.
    pub async fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let begun = Instant::now();
        let until = tokio::time::Instant::now() + PATIENCE;
        let waiting = Waiting { share: self, begun };
        loop {
            let MemoryShare { shared, id } = waiting.share;
            let mut freed = std::pin::pin!(shared.freed.notified());
            freed.as_mut().enable();
            {
                let mut state = shared.lock();
                match state.room(*id, bytes, shared.limit) {
                    Ok(room) => {
                        let wanted = bytes.saturating_add(room);
                        if state.used.saturating_add(wanted) <= shared.limit {
                            state.add(*id, bytes);
                            return Ok(());
                        }
                        state.relieve(wanted, shared.limit);
                    }
                    Err(exhausted) if begun.elapsed() >= OWN_PATIENCE => return Err(exhausted),
                    Err(_) => {}
                }
                state.wait(*id);
            }
            if tokio::time::Instant::now() >= until {
                return Err(Exhausted::Budget);
            }
            let next = until.min(tokio::time::Instant::now() + STEP);
            // The next round checks again, whether bytes were freed or not.
            let _ = tokio::time::timeout_at(next, freed).await;
        }
    }

    /// Takes bytes that are already in memory, even over the limit. Over the limit it closes slow
    /// connections. The client has not read these bytes: see [`MemoryShare::progress`].
    pub fn add(&mut self, bytes: u64) {
        let mut state = self.shared.lock();
        state.add(self.id, bytes);
        state.relieve(0, self.shared.limit);
    }

    /// Records that the client has sent or read bytes, so that it does not count as slow. Frees
    /// nothing.
    pub fn progress(&self, bytes: u64) {
        if let Some(holder) = self.shared.lock().holders.get_mut(&self.id) {
            holder.turn_to(Instant::now());
            holder.moved[0] += bytes;
        }
    }

    /// Sets which connection is closed when memory runs out and this share is slow. `None`: none is
    /// closed, because the server needs the memory.
    pub fn cut_by(&self, cut: Option<Cut>) {
        if let Some(holder) = self.shared.lock().holders.get_mut(&self.id) {
            holder.cut = cut;
        }
    }
}

/// A share that waits for memory. The time of waiting does not count against the client.
struct Waiting<'a> {
    share: &'a MemoryShare,
    begun: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(holder) = self.share.shared.lock().holders.get_mut(&self.share.id)
            && std::mem::take(&mut holder.waits)
        {
            let waited = self.begun.elapsed();
            holder.since += waited;
            holder.span_since += waited;
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(holder) = state.holders.remove(&self.id) {
            state.used = state.used.saturating_sub(holder.bytes);
        }
        drop(state);
        self.shared.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
