//! One call of the upstream, up to the first byte of its answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::UpstreamSettings;
use super::retry::{Advice, Miss, asked_wait};
use crate::clock;
use crate::responder::{Failure, Question};

/// How long an unused connection is kept: less than most servers keep it, who would close it under the next call.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// An error's body is read up to here, so that the connection can be used again, and thrown away.
const MOST_OF_AN_ERROR: usize = 16 << 10;
const PATIENCE_WITH_AN_ERROR: Duration = Duration::from_millis(250);

/// Makes calls.
pub(super) struct Caller {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    limit: OutputLimit,
    first_byte_timeout: Duration,
}

/// How the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a stream of events.
    Events,
    /// As one JSON object, from an upstream that does not stream.
    Whole,
}

/// An answer whose first bytes have arrived.
pub(super) struct Begun {
    pub(super) response: Response,
    pub(super) first: Bytes,
    pub(super) form: Form,
}

impl Caller {
    /// The client asks no proxy, whatever the environment says: the upstream's address is the operator's own, often
    /// on the same machine, and the key must go nowhere else. It keeps no cookies and follows no redirects.
    pub(super) fn new(settings: &UpstreamSettings) -> Result<Caller, String> {
        // An error means that a provider is installed already, which is all that is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(|error| format!("the client for the upstream cannot be made: {error:?}"))?;
        let authorization = settings.key.as_ref().map(|key| key.header());
        let url = url_of_calls(&settings.base_url)?;
        let (limit, first_byte_timeout) = (settings.output_limit, settings.first_byte_timeout);
        Ok(Caller { client, url, authorization, limit, first_byte_timeout })
    }

    /// Asks, again where that is safe, and waits for the first byte of the answer.
    pub(super) async fn call(&self, question: &Question) -> Result<Begun, Failure> {
        let body = Bytes::from(body_of(question, self.limit));
        let attempts = self.attempts(body, Instant::now());
        timeout(self.first_byte_timeout, attempts).await.unwrap_or(Err(Failure::NoFirstByte))
    }

    async fn attempts(&self, body: Bytes, begun: Instant) -> Result<Begun, Failure> {
        let mut retries = 0;
        loop {
            let miss = match self.attempt(body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(miss) => miss,
            };
            let wait = miss.wait(retries).ok_or(miss.failure)?;
            if begun.elapsed().saturating_add(wait) >= self.first_byte_timeout {
                return Err(miss.failure);
            }
            tokio::time::sleep(wait).await;
            retries += 1;
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<Begun, Miss> {
        let mut request = self.client.post(self.url.clone());
        request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "text/event-stream");
        if let Some(key) = &self.authorization {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let mut response = request.body(body).send().await.map_err(lost)?;
        let Some(form) = form_of(&response) else { return Err(refusal(response).await) };
        loop {
            match response.chunk().await {
                Ok(Some(first)) if first.is_empty() => {}
                Ok(Some(first)) => return Ok(Begun { response, first, form }),
                Ok(None) => return Err(Miss::for_good(Failure::CutShort)),
                Err(_) => return Err(Miss::for_good(Failure::ConnectionLost)),
            }
        }
    }
}

/// The address of the calls.
fn url_of_calls(base: &Url) -> Result<Url, String> {
    if !matches!(base.scheme(), "http" | "https") {
        return Err("the upstream's URL must begin with http:// or https://".to_owned());
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err("the upstream's URL must not have a user or a password: give its key instead".to_owned());
    }
    let mut url = base.clone();
    url.set_fragment(None);
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend(["chat", "completions"]),
        Err(()) => return Err("the upstream's URL cannot have a path".to_owned()),
    };
    Ok(url)
}

/// What the field is called that bounds the tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum OutputLimit {
    /// As nearly all servers have it
    #[default]
    MaxTokens,
    /// As OpenAI's reasoning models want it
    MaxCompletionTokens,
}

impl OutputLimit {
    const fn name(self) -> &'static str {
        match self {
            OutputLimit::MaxTokens => "max_tokens",
            OutputLimit::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// Fields that are ours, and others that would win over them or ask for more answers than the one that is paid for.
const OURS: [&str; 7] =
    ["model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options"];

/// The request. Our own fields win over the client's: they are what the price was reckoned from. Nothing is copied but
/// into the text, as a conversation may be large.
fn body_of(question: &Question, limit: OutputLimit) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(flatten)]
        options: BTreeMap<&'a str, &'a Value>,
        #[serde(flatten)]
        limit: BTreeMap<&'a str, u32>,
        model: &'a str,
        messages: &'a [Value],
        stream: bool,
        stream_options: BTreeMap<&'a str, bool>,
    }
    let options = question.options.iter().map(|(name, value)| (name.as_str(), value));
    let body = Body {
        options: options.filter(|(name, _)| !OURS.contains(name)).collect(),
        limit: BTreeMap::from([(limit.name(), question.max_output)]),
        model: &question.model,
        messages: &question.messages,
        stream: true,
        stream_options: BTreeMap::from([("include_usage", true)]),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// How a successful answer comes. `None`: it is no answer.
fn form_of(response: &Response) -> Option<Form> {
    if !response.status().is_success() {
        return None;
    }
    let content_type = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => Some(Form::Events),
        "application/json" => Some(Form::Whole),
        _ => None,
    }
}

/// No response came.
fn lost(error: reqwest::Error) -> Miss {
    let failure = if error.is_connect() { Failure::Unreachable } else { Failure::ConnectionLost };
    // The operator has to know why: a name that is unknown, a certificate that is not trusted. None of it is the
    // upstream's own text, and the address, which may have a secret in its query, is left out.
    log::warn!("{}: {:?}", failure.reason(), error.without_url());
    let advice = if failure == Failure::Unreachable { Advice::Again(None) } else { Advice::Never };
    Miss { failure, advice }
}

/// What came is no answer.
async fn refusal(response: Response) -> Miss {
    let status = response.status();
    let failure = failure_of(status);
    log::warn!("the upstream answered with status {}: {}", status.as_u16(), failure.reason());
    let can_retry = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let advice = match can_retry {
        true => Advice::Again(asked_wait(response.headers(), clock::now())),
        false => Advice::Never,
    };
    if !status.is_success() {
        let _ = timeout(PATIENCE_WITH_AN_ERROR, throw_away(response)).await;
    }
    Miss { failure, advice }
}

fn failure_of(status: StatusCode) -> Failure {
    match status.as_u16() {
        401 | 403 => Failure::KeyRefused,
        429 => Failure::RateLimited,
        // No credit, no such model or address: no other request would fare better.
        402 | 404 | 405 | 410 => Failure::Misconfigured,
        400..=499 => Failure::RequestRefused,
        500..=599 => Failure::ServerError,
        _ => Failure::NoStream,
    }
}

async fn throw_away(mut response: Response) {
    let mut left = MOST_OF_AN_ERROR;
    while let Ok(Some(bytes)) = response.chunk().await
        && let Some(less) = left.checked_sub(bytes.len())
    {
        left = less;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(question: &Question, limit: OutputLimit) -> Value {
        serde_json::from_slice(&body_of(question, limit)).unwrap()
    }

    #[test]
    fn calls_go_below_the_base_with_or_without_its_last_slash() {
        for base in ["http://h:1/v1", "http://h:1/v1/", "http://h:1/v1#x"] {
            let url = url_of_calls(&Url::parse(base).unwrap()).unwrap();
            assert_eq!(url.as_str(), "http://h:1/v1/chat/completions");
        }
        for base in ["ftp://h/v1", "mailto:h", "http://me:secret@h/v1"] {
            let error = url_of_calls(&Url::parse(base).unwrap()).unwrap_err();
            assert!(!error.contains("secret"));
        }
    }

    #[test]
    fn our_own_fields_win_over_options() {
        let mut question = Question::of_message("m", "hi", 7);
        for (name, value) in [
            ("temperature", json!(0.5)),
            ("n", json!(5)),
            ("model", json!("dear")),
            ("messages", json!([])),
            ("max_tokens", json!(1_000_000)),
            ("max_completion_tokens", json!(1_000_000)),
            ("stream", json!(false)),
            ("stream_options", json!({ "include_usage": false })),
        ] {
            question.options.insert(name.to_owned(), value);
        }
        let wanted = json!({ "temperature": 0.5, "model": "m", "messages": [{ "role": "user", "content": "hi" }],
            "max_tokens": 7, "stream": true, "stream_options": { "include_usage": true } });
        assert_eq!(parsed(&question, OutputLimit::MaxTokens), wanted);
        let other = parsed(&question, OutputLimit::MaxCompletionTokens);
        assert_eq!((&other["max_completion_tokens"], other.get("max_tokens")), (&json!(7), None));
    }

    #[test]
    fn each_status_has_its_failure() {
        let failure = |status| failure_of(StatusCode::from_u16(status).unwrap());
        assert_eq!([401, 403].map(failure), [Failure::KeyRefused; 2]);
        assert_eq!([400, 413, 415, 422].map(failure), [Failure::RequestRefused; 4]);
        assert_eq!([402, 404, 405, 410].map(failure), [Failure::Misconfigured; 4]);
        assert_eq!([429].map(failure), [Failure::RateLimited]);
        assert_eq!([500, 503, 529].map(failure), [Failure::ServerError; 3]);
        assert_eq!([200, 204, 301, 302, 308].map(failure), [Failure::NoStream; 5]);
    }
}
