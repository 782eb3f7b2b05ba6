//! Limits the calls in flight, and those that wait for a place. Both are fair by user.

use std::time::Duration;

use crate::responder::Failure;
use crate::throttle::{FairPermit, FairSemaphore, SemaphoreBounds, SemaphoreFull};

/// One user may take a quarter of the waiting places: one in this number.
const PART_OF_ONE_USER: usize = 4;

/// Limits the calls in flight. A user gets a place only while they hold fewer than are free, so
/// that other users find a place however long an answer takes. The number of waiting requests and
/// their waiting time are limited too.
#[derive(Debug)]
pub(super) struct Gate {
    places: FairSemaphore<i64>,
    patience: Duration,
}

/// A place among the calls in flight. Dropping it makes room for the next call.
pub(super) type CallPlace = FairPermit<i64>;

impl Gate {
    /// Makes a gate with `size` places, and `may_wait` places to wait for up to `patience`.
    pub(super) fn new(size: usize, may_wait: usize, patience: Duration) -> Gate {
        let places = FairSemaphore::new(SemaphoreBounds {
            permits: size,
            waiting: may_wait,
            waiting_per_key: may_wait.div_ceil(PART_OF_ONE_USER),
            leave_room: true,
        });
        Gate { places, patience }
    }

    /// Waits for a place for a user's call.
    ///
    /// # Errors
    /// [`Failure::TooManyOfUser`] and [`Failure::Busy`].
    pub(super) async fn enter(&self, user_id: i64) -> Result<CallPlace, Failure> {
        match tokio::time::timeout(self.patience, self.places.acquire(user_id)).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(SemaphoreFull::Key)) => Err(Failure::TooManyOfUser),
            Ok(Err(SemaphoreFull::All)) | Err(_) => Err(Failure::Busy),
        }
    }

    /// Returns the number of calls in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.places.held()
    }

    /// Returns the number of calls that wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.places.waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::pin::pin;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn waiting_calls_get_free_places_in_order_of_arrival() {
        let gate = Gate::new(1, 2, LONG);
        let place = gate.enter(1).await.unwrap();
        let (mut first, mut second) = (pin!(gate.enter(2)), pin!(gate.enter(3)));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!((gate.in_flight(), gate.waiting()), (1, 2));
        drop(place);
        assert!(second.as_mut().now_or_never().is_none(), "it is not its turn");
        let place = first.as_mut().now_or_never().unwrap().unwrap();
        assert!(second.as_mut().now_or_never().is_none());
        drop(place);
        assert!(
            gate.enter(4).now_or_never().unwrap_or(Err(Failure::Busy)).is_err(),
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
        let _place = gate.enter(1).await.unwrap();
        let mut waiting = Box::pin(gate.enter(2));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(gate.enter(3).now_or_never().unwrap().unwrap_err(), Failure::Busy);
        drop(waiting);
        assert_eq!(gate.waiting(), 0, "who gives up no longer counts");
        assert!(gate.enter(3).now_or_never().is_none(), "and another one may wait");
    }

    #[tokio::test]
    async fn patience_has_an_end() {
        let gate = Gate::new(1, 1, Duration::from_millis(1));
        let place = gate.enter(1).await.unwrap();
        assert_eq!(gate.enter(2).await.unwrap_err(), Failure::Busy);
        assert_eq!(gate.waiting(), 0);
        drop(place);
        assert!(gate.enter(2).await.is_ok(), "the place did not go to the one who gave up");
    }

    #[tokio::test]
    async fn one_user_can_fill_neither_the_places_nor_the_queue() {
        let gate = Gate::new(64, 64, LONG);
        let mut places: Vec<_> = (0..32).filter_map(|_| gate.enter(1).now_or_never()?.ok()).collect();
        assert_eq!(places.len(), 32);
        let mut waiting: Vec<_> = (0..16).map(|_| Box::pin(gate.enter(1))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert_eq!(gate.enter(1).now_or_never().unwrap().unwrap_err(), Failure::TooManyOfUser);
        places.extend((0..64).filter_map(|_| gate.enter(2).now_or_never()?.ok()));
        for newcomer in 3..6 {
            assert!(gate.enter(newcomer).now_or_never().is_some_and(|place| place.is_ok()));
        }
    }
}
