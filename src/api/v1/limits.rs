//! The headers by which clients pace themselves.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::clock;
use crate::domain::Endpoint;
use crate::error::Result;
use crate::throttle::Allowed;

/// Adds what is left of the limit on requests, as the protocol writes it: `x-ratelimit-*`, and for
/// Anthropic's also `anthropic-ratelimit-*`. `allowed` is `None` if there are no limits.
pub(super) fn with_limits(
    answered: Result<HttpResponse>,
    allowed: Option<Allowed>,
    endpoint: Endpoint,
) -> HttpResponse {
    let mut response = answered.unwrap_or_else(HttpResponse::from_error);
    let Some(allowed) = allowed else { return response };
    let mut add = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    add("x-ratelimit-limit-requests", allowed.limit.to_string());
    add("x-ratelimit-remaining-requests", allowed.remaining.to_string());
    add("x-ratelimit-reset-requests", span(allowed.reset));
    if endpoint == Endpoint::Messages {
        let reset = clock::now().and_utc() + TimeDelta::from_std(allowed.reset).unwrap_or_default();
        add("anthropic-ratelimit-requests-limit", allowed.limit.to_string());
        add("anthropic-ratelimit-requests-remaining", allowed.remaining.to_string());
        add("anthropic-ratelimit-requests-reset", moment(reset));
    }
    response
}

/// Writes a moment as RFC 3339, in whole seconds.
fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Writes a duration as Go does, which OpenAI's protocol prescribes: `12ms`, `1.64s`, `6m0s`.
fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = match rest % 1000 {
        0 => format!("{}", rest / 1000),
        part => format!("{}.{}", rest / 1000, format!("{part:03}").trim_end_matches('0')),
    };
    match (millis, minutes) {
        (..1000, _) => format!("{millis}ms"),
        (_, 0) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_go_does() {
        for (millis, text) in
            [(0, "0ms"), (12, "12ms"), (1000, "1s"), (1640, "1.64s"), (60_000, "1m0s"), (366_005, "6m6.005s")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
