//! A short, fair wait for one of a user's own slots.
//!
//! A user may have a limited number of chats in progress. The charging transaction enforces the
//! limit for all nodes together ([`crate::metering`]); this only decides who waits, so that a burst
//! of requests is answered instead of rejected. A user's requests get slots in the order in which
//! they came. Those that wait take no place among the calls, so they are in nobody's way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, Result};
use crate::responder::Failure;

/// One user may take a quarter of the waiting places: one in this number.
const PART_OF_ONE_USER: usize = 4;

/// How often to check whether a chat on another node has ended. A chat on this node tells us.
const RECHECK: Duration = Duration::from_millis(250);

/// How many requests may wait for a slot, and how long.
#[derive(Clone, Copy, Debug)]
pub struct SlotBounds {
    /// The number of requests that may wait, a quarter of them from one user.
    pub waiting: usize,
    /// The time that a request may wait, until it has both a slot and a place among the calls.
    pub patience: Duration,
}

/// The slots of all users on this node. Cheap to clone; clones share the slots.
#[derive(Clone)]
pub(super) struct Slots {
    shared: Arc<Shared>,
}

struct Shared {
    bounds: SlotBounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_ticket: u64,
    waiting: usize,
    /// Contains only users who have a slot or wait for one.
    users: HashMap<i64, OfUser>,
}

#[derive(Default)]
struct OfUser {
    taken: i64,
    /// The requests that wait, in the order of their tickets.
    queue: BTreeMap<u64, Arc<Notify>>,
    /// When the charging transaction last said that the user has the most holds. It knows of those
    /// on other nodes.
    full_since: Option<Instant>,
}

/// A request's slot, or its position in the queue. Dropping it makes room for the next request.
pub(super) struct Slot {
    shared: Arc<Shared>,
    user_id: i64,
    /// The most slots of the user.
    limit: i64,
    ticket: u64,
    is_taken: bool,
    is_free: Arc<Notify>,
    /// When waiting ends.
    deadline: Instant,
}

impl Slots {
    pub(super) fn new(bounds: SlotBounds) -> Slots {
        Slots { shared: Arc::new(Shared { bounds, state: Mutex::default() }) }
    }

    /// Takes a slot of a user, or a position in the user's queue. `limit` is the most slots that
    /// the user may have. A user who may have none does not wait.
    ///
    /// # Errors
    /// [`Error::TooManyChats`] if too many of the user's requests wait, and [`Error::Busy`] if too
    /// many of all users do.
    pub(super) fn line_up(&self, user_id: i64, limit: i64) -> Result<Slot> {
        if limit <= 0 {
            return Err(Error::TooManyChats);
        }
        let bounds = self.shared.bounds;
        let is_free = Arc::new(Notify::new());
        let mut state = self.shared.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue_up(user_id, ticket, &is_free);
        let mut slot = Slot {
            shared: self.shared.clone(),
            user_id,
            limit,
            ticket,
            is_taken: false,
            is_free,
            deadline: Instant::now() + bounds.patience,
        };
        slot.is_taken = state.try_take(&slot);
        let own = state.users.get(&user_id).map_or(0, |user| user.queue.len());
        let all = state.waiting;
        // Dropping the slot, on an error, takes the lock again.
        drop(state);
        if slot.is_taken {
            return Ok(slot);
        }
        if own > bounds.waiting.div_ceil(PART_OF_ONE_USER) {
            return Err(Error::TooManyChats);
        }
        if all > bounds.waiting { Err(Failure::Busy.into()) } else { Ok(slot) }
    }
}

impl Slot {
    /// Waits until the slot is taken.
    ///
    /// # Errors
    /// [`Error::TooManyChats`] at the deadline.
    pub(super) async fn taken(&mut self) -> Result<()> {
        loop {
            self.is_taken = self.is_taken || self.shared.lock().try_take(self);
            if self.is_taken {
                return Ok(());
            }
            if Instant::now() >= self.deadline {
                return Err(Error::TooManyChats);
            }
            // Not all at the same moment.
            let pause = RECHECK.mul_f64(rand::rng().random_range(1.0..1.25));
            tokio::select! {
                () = self.is_free.notified() => {}
                () = sleep_until(self.deadline.min(Instant::now() + pause)) => {}
            }
        }
    }

    /// Returns when waiting ends.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Notes that the chat was charged: the user had a slot left on all nodes together.
    pub(super) fn was_charged(&self) {
        self.shared.lock().open_up(self.user_id);
    }

    /// Gives the slot back and returns to the old position in the queue, because the user's holds
    /// on other nodes take all slots.
    pub(super) fn give_back(&mut self) {
        let mut state = self.shared.lock();
        if !std::mem::take(&mut self.is_taken) {
            return;
        }
        state.queue_up(self.user_id, self.ticket, &self.is_free);
        if let Some(user) = state.users.get_mut(&self.user_id) {
            user.taken -= 1;
            user.full_since = Some(Instant::now());
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if !self.is_taken {
            state.leave(self.user_id, self.ticket);
        } else if let Some(user) = state.users.get_mut(&self.user_id) {
            user.taken -= 1;
        }
        state.open_up(self.user_id);
    }
}

impl Shared {
    /// A poisoned lock is safe to use: nothing under it can leave the state half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue_up(&mut self, user_id: i64, ticket: u64, is_free: &Arc<Notify>) {
        self.users.entry(user_id).or_default().queue.insert(ticket, is_free.clone());
        self.waiting += 1;
    }

    /// Takes a slot if there is one and the ticket is the first of its user.
    fn try_take(&mut self, slot: &Slot) -> bool {
        let Some(user) = self.users.get_mut(&slot.user_id) else { return false };
        let is_first = user.queue.first_key_value().is_some_and(|(first, _)| *first == slot.ticket);
        let may_try = user.full_since.is_none_or(|since| since.elapsed() >= RECHECK);
        if !is_first || !may_try || user.taken >= slot.limit {
            return false;
        }
        // If the user was at the limit, one request at a time finds out whether that has changed.
        user.full_since = user.full_since.map(|_| Instant::now());
        user.taken += 1;
        self.leave(slot.user_id, slot.ticket);
        true
    }

    fn leave(&mut self, user_id: i64, ticket: u64) {
        let Some(user) = self.users.get_mut(&user_id) else { return };
        if user.queue.remove(&ticket).is_some() {
            self.waiting = self.waiting.saturating_sub(1);
        }
        user.wake_first();
    }

    /// Lets the first request try at once. Forgets a user without requests.
    fn open_up(&mut self, user_id: i64) {
        let Some(user) = self.users.get_mut(&user_id) else { return };
        user.full_since = None;
        user.wake_first();
        if user.taken <= 0 && user.queue.is_empty() {
            self.users.remove(&user_id);
        }
    }
}

impl OfUser {
    fn wake_first(&self) {
        if let Some((_, first)) = self.queue.first_key_value() {
            first.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const PATIENCE: Duration = Duration::from_secs(3600);

    fn slots(waiting: usize) -> Slots {
        Slots::new(SlotBounds { waiting, patience: PATIENCE })
    }

    fn is_taken(slot: &mut Slot) -> bool {
        slot.taken().now_or_never().is_some_and(|taken| taken.is_ok())
    }

    #[tokio::test]
    async fn slots_are_given_in_the_order_of_arrival() {
        let slots = slots(100);
        let mut first = slots.line_up(1, 1).unwrap();
        assert!(is_taken(&mut first));
        let mut second = slots.line_up(1, 1).unwrap();
        let mut third = slots.line_up(1, 1).unwrap();
        assert!(!is_taken(&mut third) && !is_taken(&mut second));
        drop(first);
        assert!(!is_taken(&mut third), "it is not its turn");
        assert!(!is_taken(&mut slots.line_up(1, 1).unwrap()), "a newcomer overtakes nobody");
        second.taken().await.unwrap();
        drop(second);
        third.taken().await.unwrap();
        drop(third);
        assert!(slots.shared.lock().users.is_empty(), "nobody is remembered");
    }

    #[tokio::test]
    async fn the_end_of_a_chat_wakes_the_first_and_a_request_that_gives_up_is_forgotten() {
        let slots = slots(100);
        let first = slots.line_up(1, 1).unwrap();
        let gives_up = slots.line_up(1, 1).unwrap();
        let mut waits = slots.line_up(1, 1).unwrap();
        let mut waiting = Box::pin(waits.taken());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(gives_up);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        assert!(waiting.as_mut().now_or_never().is_some_and(|taken| taken.is_ok()));
        drop(waiting);
        assert_eq!(slots.shared.lock().waiting, 0);
    }

    #[tokio::test]
    async fn patience_has_an_end_and_other_users_do_not_wait() {
        let slots = Slots::new(SlotBounds { waiting: 100, patience: Duration::from_millis(1) });
        let _first = slots.line_up(1, 1).unwrap();
        let mut second = slots.line_up(1, 1).unwrap();
        assert!(is_taken(&mut slots.line_up(2, 1).unwrap()));
        assert!(matches!(second.taken().await, Err(Error::TooManyChats)));
        assert!(matches!(slots.line_up(3, 0), Err(Error::TooManyChats)), "a limit of 0 is not waited for");
    }

    #[tokio::test]
    async fn a_quarter_of_those_who_wait_may_be_of_one_user() {
        let slots = slots(8);
        let mut kept: Vec<_> = (0..3).map(|_| slots.line_up(1, 1).unwrap()).collect();
        assert!(matches!(slots.line_up(1, 1), Err(Error::TooManyChats)));
        for user in 2..5 {
            kept.extend((0..3).map(|_| slots.line_up(user, 1).unwrap()));
        }
        kept.push(slots.line_up(9, 1).unwrap());
        assert!(matches!(slots.line_up(9, 1), Err(Error::Busy(_))));
        assert_eq!(slots.shared.lock().waiting, 8, "who was rejected no longer counts");
    }

    #[tokio::test]
    async fn holds_on_other_nodes_are_checked_again_by_the_first_only() {
        let slots = slots(100);
        let mut first = slots.line_up(1, 3).unwrap();
        let mut second = slots.line_up(1, 3).unwrap();
        assert!(is_taken(&mut first) && is_taken(&mut second));
        second.give_back();
        first.give_back();
        assert!(!is_taken(&mut first) && !is_taken(&mut second));
        let begun = Instant::now();
        first.taken().await.unwrap();
        assert!(begun.elapsed() >= RECHECK);
        assert!(!is_taken(&mut second), "one at a time");
        first.was_charged();
        assert!(is_taken(&mut second), "a good charge opens the way at once");
    }
}
