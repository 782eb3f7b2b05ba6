//! A time limit for each of many short waits.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// Limits one wait after the other with a single timer. A timer for each wait would be put into the
/// runtime's list and removed again with every part of an answer.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits for a future, but no longer than `limit`. Returns `None` if the time is up.
    pub async fn within<T>(&mut self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.until(Instant::now() + limit, future).await
    }

    /// Waits for a future until `deadline`. Returns `None` if the time is up.
    pub async fn until<T>(&mut self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // Usually it rings for an earlier wait, and is then set to the end of this one.
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            loop {
                match timer.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if timer.deadline() >= deadline => return Poll::Ready(None),
                    Poll::Ready(()) => timer.as_mut().reset(deadline),
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn each_wait_has_its_own_limit() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        assert_eq!(alarm.within(SHORT, pending::<()>()).await, None);
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(alarm.within(LONG, ready(1)).await, Some(1));
        // The timer is set to a later time, and then to an earlier one.
        assert_eq!(alarm.within(LONG, tokio::time::sleep(2 * SHORT)).await, Some(()));
        let begun = Instant::now();
        assert_eq!(alarm.within(SHORT, pending::<()>()).await, None);
        assert!((SHORT..LONG / 2).contains(&begun.elapsed()));
        let begun = Instant::now();
        assert_eq!(alarm.within(2 * SHORT, pending::<()>()).await, None);
        assert!(begun.elapsed() >= 2 * SHORT);
    }
}
