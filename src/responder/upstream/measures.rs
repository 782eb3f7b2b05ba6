//! What calls of each model take and how they end, for the metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::FailureReason;
use crate::metrics::{Counter, CounterSet, Histogram};
use crate::responder::Failure;

/// The bounds of the time until the first part, in microseconds.
const FIRST_PARTS: [u64; 12] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];
/// The bounds of the time of a whole answer, in microseconds.
const DURATIONS: [u64; 13] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
];

/// The calls of one model since the start.
#[derive(Debug)]
pub struct CallMeasures {
    /// Calls that were answered.
    pub complete: Counter,
    /// Calls that have failed.
    pub failed: Counter,
    /// Calls that were cancelled, because the client has disconnected or the server was stopped.
    pub cancelled: Counter,
    /// Calls that were not made: there was no place, or the circuit breaker was open.
    pub refused: Counter,
    /// Calls that have failed or were not made, by the code of the reason.
    pub failures: CounterSet,
    /// The time from the call to the first part of the answer.
    pub first_parts: Histogram,
    /// The time from the call to its end, however it ended.
    pub durations: Histogram,
}

impl Default for CallMeasures {
    fn default() -> CallMeasures {
        let (complete, failed, cancelled, refused) = Default::default();
        CallMeasures {
            complete,
            failed,
            cancelled,
            refused,
            failures: CounterSet::new(FailureReason::ALL.into_iter().map(FailureReason::code)),
            first_parts: Histogram::of_durations(&FIRST_PARTS),
            durations: Histogram::of_durations(&DURATIONS),
        }
    }
}

impl CallMeasures {
    /// Counts a call that was not made.
    pub(super) fn refuse(&self, failure: Failure) {
        self.refused.increment();
        self.failures.of(failure.reason().code()).increment();
    }
}

/// One call. If it is dropped before its end was reported, it was cancelled.
pub(super) struct MeasuredCall {
    measures: Arc<CallMeasures>,
    /// A call that takes longer has reached its time limit.
    limit: Duration,
    /// When it was made. `None` before that, and after its end.
    began: Option<Instant>,
    has_first_part: bool,
}

impl MeasuredCall {
    /// Prepares a call. Nothing is counted before it is made.
    pub(super) fn new(measures: Arc<CallMeasures>, limit: Duration) -> MeasuredCall {
        MeasuredCall { measures, limit, began: None, has_first_part: false }
    }

    /// Notes that it is made now.
    pub(super) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    /// Notes that a part of the answer has arrived.
    pub(super) fn note_part(&mut self) {
        if let (Some(began), false) = (self.began, self.has_first_part) {
            self.measures.first_parts.observe(began.elapsed());
            self.has_first_part = true;
        }
    }

    /// Reports its end.
    pub(super) fn end(&mut self, outcome: Result<(), Failure>) {
        let Some(began) = self.began.take() else { return };
        self.measures.durations.observe(began.elapsed());
        match outcome {
            Ok(()) => self.measures.complete.increment(),
            Err(failure) => {
                self.measures.failed.increment();
                self.measures.failures.of(failure.reason().code()).increment();
            }
        }
    }
}

impl Drop for MeasuredCall {
    fn drop(&mut self) {
        let Some(began) = self.began else { return };
        if began.elapsed() >= self.limit {
            return self.end(Err(Failure::TotalTimeout));
        }
        self.measures.durations.observe(began.elapsed());
        self.measures.cancelled.increment();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn counts(measures: &CallMeasures) -> [u64; 4] {
        [&measures.complete, &measures.failed, &measures.cancelled, &measures.refused].map(Counter::value)
    }

    #[test]
    fn each_call_ends_once_and_in_one_way() {
        let measures = Arc::new(CallMeasures::default());
        let call = |limit| {
            let mut call = MeasuredCall::new(measures.clone(), limit);
            call.begin();
            call
        };
        drop(MeasuredCall::new(measures.clone(), HOUR));
        assert_eq!(counts(&measures), [0; 4], "it was never made");
        let mut complete = call(HOUR);
        complete.note_part();
        complete.note_part();
        complete.end(Ok(()));
        drop(complete);
        call(HOUR).end(Err(Failure::Stalled));
        drop(call(HOUR));
        drop(call(Duration::ZERO));
        measures.refuse(Failure::Busy);
        assert_eq!(counts(&measures), [1, 2, 1, 1]);
        assert_eq!((measures.first_parts.buckets().count, measures.durations.buckets().count), (1, 4));
        let failures: Vec<_> = measures.failures.all().filter(|(_, counter)| counter.value() > 0).collect();
        let codes: Vec<_> = failures.into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["busy", "stalled", "total_timeout"]);
    }
}
