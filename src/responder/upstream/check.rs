//! A check of the settings of an upstream, for `tollgate doctor`. It asks for the list of models,
//! which is free and generates nothing.

use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};
use tokio::time::timeout;

use super::Upstream;
use crate::error::root_cause;

/// Time limit for one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an upstream answers to a request for its list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamCheck {
    /// The status of the answer.
    pub status: u16,
    /// How long the answer took.
    pub took: Duration,
    /// The upstream's clock, to the second.
    pub clock: Option<NaiveDateTime>,
    /// Whether the list needs a key. `None` if none is set. If it needs none, a good answer says
    /// nothing of the key.
    pub needs_key: Option<bool>,
    /// Those of the models on offer that the list does not name. `None` if there is no list.
    pub unlisted: Option<Vec<String>>,
}

impl Upstream {
    /// Asks for the list of models. `models` are those on offer.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn check(&self, models: &[String]) -> Result<UpstreamCheck, String> {
        let caller = &self.inner.caller;
        let began = Instant::now();
        let (status, headers) = answer(caller.models_request()).await?;
        let took = began.elapsed();
        let clock = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
        let needs_key = match self.inner.settings.key {
            Some(_) if status.is_success() => {
                let without_key = answer(caller.models_request_without_key()).await;
                Some(!without_key.is_ok_and(|(status, _)| status.is_success()))
            }
            _ => None,
        };
        let listed = caller.list(models).await.ok();
        let unlisted =
            listed.map(|listed| models.iter().filter(|name| !listed.contains_key(*name)).cloned().collect());
        Ok(UpstreamCheck { status: status.as_u16(), took, clock, needs_key, unlisted })
    }
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, HeaderMap), String> {
    match timeout(PATIENCE, request.send()).await {
        Ok(Ok(response)) => Ok((response.status(), response.headers().clone())),
        Ok(Err(error)) => Err(root_cause(&error)),
        Err(_) => Err(format!("there was no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Parses the usual form of a date in HTTP.
pub fn http_date(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.to_string(), "1994-11-06 08:49:37");
        assert_eq!(http_date("yesterday"), None);
    }
}
