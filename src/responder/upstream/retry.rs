//! Decides whether a call that failed before its answer began is made again, and when.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use rand::RngExt;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::complaint::Complaint;
use super::fault::OperatorFault;
use crate::responder::Failure;

/// The most retries of a call.
const RETRIES: u32 = 2;
/// The wait before the first retry. It doubles for the next.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// A call is not retried if the upstream asks for a longer wait than this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// An attempt that failed.
#[derive(Debug, PartialEq)]
pub(super) struct Miss {
    pub(super) failure: Failure,
    pub(super) advice: Advice,
    /// What the upstream says about the request, if it rejected it.
    pub(super) complaint: Option<Complaint>,
    /// What only the operator can fix, if that is why it failed.
    pub(super) fault: Option<OperatorFault>,
}

/// Whether a retry is safe and useful.
#[derive(Debug, PartialEq)]
pub(super) enum Advice {
    /// The upstream may already be working on the request, or would fail again in the same way.
    Never,
    /// The upstream did not take the request. It may have said how long to wait.
    Again(Option<Duration>),
}

impl Miss {
    /// A failure that a retry would not change.
    pub(super) fn for_good(failure: Failure) -> Miss {
        Miss { failure, advice: Advice::Never, complaint: None, fault: None }
    }

    /// Returns whether the upstream found the request wrong. It may be its form, which can be
    /// adapted.
    pub(super) fn is_about_the_request(&self) -> bool {
        matches!(self.failure, Failure::RequestRejected(_) | Failure::SettingRejected(_))
    }

    /// Returns how long to wait before the next attempt, after `retries` retries. `None` if there
    /// are no more.
    pub(super) fn wait(&self, retries: u32) -> Option<Duration> {
        match self.advice {
            Advice::Again(asked) if retries < RETRIES => match asked {
                Some(asked) => Some(asked).filter(|asked| *asked <= LONGEST_WAIT),
                None => Some(backoff(retries, rand::rng().random_range(0.75..1.25))),
            },
            _ => None,
        }
    }
}

fn backoff(retries: u32, jitter: f64) -> Duration {
    (FIRST_WAIT * 2_u32.saturating_pow(retries)).mul_f64(jitter)
}

/// Returns the wait that a response asks for, in `retry-after-ms` or `Retry-After` (seconds or a
/// date).
pub(super) fn asked_wait(headers: &HeaderMap, now: NaiveDateTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    let after = text(RETRY_AFTER.as_str());
    let seconds = milliseconds
        .map(|milliseconds| milliseconds / 1000.0)
        .or_else(|| after.and_then(|text| text.parse::<f64>().ok()));
    match seconds {
        // A value that is not a valid duration is treated as too long to wait for.
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)),
        None => {
            let date = DateTime::parse_from_rfc2822(after?).ok()?.naive_utc();
            Some((date - now).to_std().unwrap_or(Duration::ZERO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn asked(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let now = DateTime::parse_from_rfc3339("2026-11-24T12:00:00Z").unwrap().naive_utc();
        asked_wait(&headers, now)
    }

    #[test]
    fn the_wait_comes_in_seconds_in_milliseconds_or_as_a_date() {
        let wait = |milliseconds| Some(Duration::from_millis(milliseconds));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", "3")]), wait(3000));
        assert_eq!(asked(&[("retry-after", " 0.5 ")]), wait(500));
        assert_eq!(asked(&[("retry-after", "3"), ("retry-after-ms", "1200")]), wait(1200));
        assert_eq!(asked(&[("retry-after", "Tue, 24 Nov 2026 12:00:04 GMT")]), wait(4000));
        assert_eq!(asked(&[("retry-after", "Tue, 24 Nov 2026 11:00:00 GMT")]), wait(0));
        assert_eq!(asked(&[("retry-after", "-1")]), wait(0));
        assert_eq!(asked(&[("retry-after", "soon")]), None);
        assert_eq!(asked(&[("retry-after", "1e300")]), Some(Duration::MAX));
        assert_eq!(asked(&[("retry-after", "inf")]), Some(Duration::MAX));
        assert_eq!(asked(&[("retry-after", "NaN")]), wait(0));
    }

    #[test]
    fn there_are_two_retries_and_none_after_a_long_wait() {
        let again = |wait| Miss { advice: Advice::Again(wait), ..Miss::for_good(Failure::RateLimited) };
        for _ in 0..100 {
            let waits = [0, 1].map(|retries| again(None).wait(retries).unwrap().as_millis());
            assert!((187..=313).contains(&waits[0]) && (375..=625).contains(&waits[1]), "{waits:?}");
        }
        assert_eq!(again(None).wait(2), None);
        assert_eq!(again(Some(LONGEST_WAIT)).wait(1), Some(LONGEST_WAIT));
        assert_eq!(again(Some(LONGEST_WAIT + Duration::from_nanos(1))).wait(0), None);
        assert_eq!(Miss::for_good(Failure::ConnectionLost).wait(0), None);
    }
}
