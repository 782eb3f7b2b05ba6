//! One budget of bytes for what clients make the server hold: unfinished heads, bodies, and
//! responses not yet taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// How long a request waits for memory before it is rejected.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };
/// Only a holder that has held memory for this long can be slow.
const SETTLED: Duration = Duration::from_secs(2);
/// A holder that moves fewer bytes per second than this is slow.
const SLOW: u64 = 128 * 1024;

/// The budget is used up, and nothing was freed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

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

    /// Ready when the connection must close.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.connection.register(cx.waker());
        if self.0.is_cut.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The budget of the whole server. Cheap to clone; clones share the bytes.
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
    /// Bytes that the client has sent or taken since the beginning.
    moved: u64,
    /// When the share began, excluding the time for which it waited for memory.
    since: Instant,
    waits: bool,
    /// Closes the connection that holds the memory. `None` if it cannot be closed.
    cut: Option<Cut>,
}

impl Holder {
    fn is_slow(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        !self.waits && age >= SETTLED && self.moved < SLOW * age.as_secs()
    }
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> MemoryBudget {
        MemoryBudget(Arc::new(Shared { limit, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.0.lock().used
    }

    /// Whether more than half of the budget is used.
    pub fn is_tight(&self) -> bool {
        self.used() > self.0.limit / 2
    }

    /// A share that holds nothing yet. When memory runs out and this share is the largest slow one, its connection
    /// is cut.
    pub fn share(&self, cut: Option<Cut>) -> MemoryShare {
        let mut state = self.0.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.holders.insert(id, Holder { bytes: 0, moved: 0, since: Instant::now(), waits: false, cut });
        MemoryShare { shared: self.0.clone(), id }
    }
}

impl Shared {
    /// Nothing in here can panic half-way through a change, so a poisoned lock still guards sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, id: u64, bytes: u64) {
        self.used += bytes;
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.bytes += bytes;
            holder.moved += bytes;
        }
    }

    fn wait(&mut self, id: u64) {
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.waits = true;
        }
    }

    /// Cuts the largest slow holder.
    fn relieve(&mut self) {
        let now = Instant::now();
        let slow = self.holders.values_mut().filter(|holder| holder.cut.is_some() && holder.is_slow(now));
        if let Some(largest) = slow.max_by_key(|holder| holder.bytes)
            && let Some(cut) = largest.cut.take()
        {
            log::warn!(
                "--memory-budget is used up: closed a slow connection that held {} bytes",
                largest.bytes
            );
            cut.cut();
        }
    }
}

/// Bytes of the budget. Dropping it gives them back.
#[derive(Debug)]
pub struct MemoryShare {
    shared: Arc<Shared>,
    id: u64,
}

impl MemoryShare {
    /// Takes more bytes. While there are none left it cuts slow connections and waits for a few seconds.
    ///
    /// # Errors
    /// [`Exhausted`]: nothing was freed in time.
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
                if state.used.saturating_add(bytes) <= shared.limit {
                    state.add(*id, bytes);
                    return Ok(());
                }
                state.wait(*id);
                state.relieve();
            }
            if tokio::time::timeout_at(until, freed).await.is_err() {
                return Err(Exhausted);
            }
        }
    }

    /// Takes bytes that are already in memory, even over the limit. Over the limit it cuts a slow connection.
    pub fn add(&mut self, bytes: u64) {
        let mut state = self.shared.lock();
        state.add(self.id, bytes);
        if state.used > self.shared.limit {
            state.relieve();
        }
    }

    /// Notes that the client has taken bytes, so that it does not count as slow. Frees nothing.
    pub fn progress(&self, bytes: u64) {
        if let Some(holder) = self.shared.lock().holders.get_mut(&self.id) {
            holder.moved += bytes;
        }
    }

    /// Sets which connection is cut when memory runs out and this share is slow. `None` if none is, because
    /// the server needs the memory.
    pub fn cut_by(&mut self, cut: Option<Cut>) {
        if let Some(holder) = self.shared.lock().holders.get_mut(&self.id) {
            holder.cut = cut;
        }
    }
}

/// A share that waits for memory. That time does not count against the client.
struct Waiting<'a> {
    share: &'a MemoryShare,
    begun: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(holder) = self.share.shared.lock().holders.get_mut(&self.share.id)
            && std::mem::take(&mut holder.waits)
        {
            holder.since += self.begun.elapsed();
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
mod tests {
    use super::*;

    fn is_cut(cut: &Cut) -> bool {
        cut.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    /// Makes a share look as old as a slow one.
    fn age(share: &MemoryShare, by: Duration) {
        let mut state = share.shared.lock();
        let holder = state.holders.get_mut(&share.id).unwrap();
        holder.since = holder.since.checked_sub(by).unwrap();
    }

    #[tokio::test]
    async fn a_share_waits_for_what_others_give_back() {
        let budget = MemoryBudget::new(100);
        let (mut first, mut second) = (budget.share(None), budget.share(None));
        first.grow(70).await.unwrap();
        assert_eq!(second.grow(40).await, Err(Exhausted));
        assert_eq!(budget.used(), 70);
        let (granted, ()) = tokio::join!(second.grow(40), async { drop(first) });
        assert_eq!((granted, budget.used()), (Ok(()), 40));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn the_largest_slow_holder_is_cut_and_nobody_else() {
        let budget = MemoryBudget::new(10 << 20);
        let cuts = [Cut::default(), Cut::default(), Cut::default()];
        let mut shares: Vec<_> = cuts.iter().map(|cut| budget.share(Some(cut.clone()))).collect();
        for (share, mebibytes) in shares.iter_mut().zip([1, 3, 6]) {
            share.grow(mebibytes << 20).await.unwrap();
        }
        // The third moves 6 MiB in 10 s, which is fast enough.
        shares.iter().for_each(|share| age(share, Duration::from_secs(10)));
        age(&shares[1], Duration::from_secs(60));
        budget.share(None).add(1);
        assert_eq!(cuts.each_ref().map(is_cut), [false, true, false]);
        let mut fresh = budget.share(None);
        age(&shares[0], Duration::from_secs(60));
        fresh.add(1);
        assert_eq!(cuts.each_ref().map(is_cut), [true, true, false], "each is cut once");
    }

    #[tokio::test]
    async fn memory_that_no_connection_holds_any_more_cuts_none() {
        let budget = MemoryBudget::new(10);
        let cut = Cut::default();
        let mut share = budget.share(Some(cut.clone()));
        share.add(10);
        age(&share, Duration::from_secs(60));
        share.cut_by(None);
        assert_eq!(budget.share(None).grow(1).await, Err(Exhausted));
        assert!(!is_cut(&cut));
    }
}
