//! How many calls are in flight at once, and how many wait for a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::responder::Failure;

/// A bound on calls in flight. Who came first goes first; nobody waits for long, and not too many wait.
#[derive(Debug)]
pub(super) struct Gate {
    places: Arc<Semaphore>,
    size: usize,
    waiting: AtomicUsize,
    may_wait: usize,
    patience: Duration,
}

/// A place among the calls in flight; dropping it makes room for the next.
pub(super) type Place = OwnedSemaphorePermit;

/// One that waits. It leaves the count however the waiting ends, by being dropped, too.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub(super) fn new(size: usize, may_wait: usize, patience: Duration) -> Gate {
        let size = size.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(size));
        Gate { places, size, waiting: AtomicUsize::new(0), may_wait, patience }
    }

    /// A place, after waiting where it must be.
    pub(super) async fn enter(&self) -> Result<Place, Failure> {
        // This overtakes nobody: a place that becomes free belongs to the first who waits from that moment on.
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = self.queue().ok_or(Failure::Busy)?;
        let place = tokio::time::timeout(self.patience, self.places.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(Failure::Busy)
    }

    fn queue(&self) -> Option<Waiting<'_>> {
        let one_more = |waiting: usize| (waiting < self.may_wait).then(|| waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Waiting(&self.waiting))
    }

    /// How many calls are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.size.saturating_sub(self.places.available_permits())
    }

    /// How many wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::pin::pin;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn who_waits_gets_the_next_place_and_the_first_goes_first() {
        let gate = Gate::new(1, 2, LONG);
        let place = gate.enter().await.unwrap();
        let (mut first, mut second) = (pin!(gate.enter()), pin!(gate.enter()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!((gate.in_flight(), gate.waiting()), (1, 2));
        drop(place);
        assert!(second.as_mut().now_or_never().is_none(), "it is not its turn");
        let place = first.as_mut().now_or_never().unwrap().unwrap();
        assert!(second.as_mut().now_or_never().is_none());
        drop(place);
        assert!(
            gate.enter().now_or_never().unwrap_or(Err(Failure::Busy)).is_err(),
            "a newcomer overtakes nobody"
        );
        let place = second.as_mut().now_or_never().unwrap().unwrap();
        assert_eq!((gate.in_flight(), gate.waiting()), (1, 0));
        drop(place);
        assert_eq!(gate.in_flight(), 0);
    }

    #[tokio::test]
    async fn when_too_many_wait_the_next_is_refused_at_once() {
        let gate = Gate::new(1, 1, LONG);
        let _place = gate.enter().await.unwrap();
        let mut waiting = Box::pin(gate.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(gate.enter().now_or_never().unwrap().unwrap_err(), Failure::Busy);
        drop(waiting);
        assert_eq!(gate.waiting(), 0, "who gives up no longer counts");
        assert!(gate.enter().now_or_never().is_none(), "and another one may wait");
    }

    #[tokio::test]
    async fn patience_has_an_end() {
        let gate = Gate::new(1, 1, Duration::from_millis(1));
        let place = gate.enter().await.unwrap();
        assert_eq!(gate.enter().await.unwrap_err(), Failure::Busy);
        assert_eq!(gate.waiting(), 0);
        drop(place);
        assert!(gate.enter().await.is_ok(), "the place did not go to the one who gave up");
    }
}
