//! One call to the upstream, up to the first byte of its answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, redirect};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::UpstreamSettings;
use super::prompt::{PromptBody, PromptMark};
use super::retry::{Advice, Miss, asked_wait};
use crate::clock;
use crate::responder::{Failure, Question};

/// How long an unused connection is kept. Most servers keep it longer, so they do not close it just
/// as it is used.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// The most bytes of an error's body that are read and discarded, so that its connection can be
/// reused.
const MOST_OF_AN_ERROR: usize = 16 << 10;
/// How long an error's body may take to arrive.
const PATIENCE_WITH_AN_ERROR: Duration = Duration::from_millis(250);

/// Makes calls to an upstream.
pub(super) struct Caller {
    client: Client,
    url: Url,
    models_url: Url,
    authorization: Option<HeaderValue>,
    limit: OutputLimit,
    first_byte_timeout: Duration,
}

/// The form of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A stream of events.
    Events,
    /// One JSON object, from an upstream that does not stream.
    Whole,
}

/// A response whose first bytes have arrived.
pub(super) struct Begun {
    pub(super) response: Response,
    pub(super) first: Bytes,
    pub(super) form: Form,
}

impl Caller {
    /// Makes a client. It ignores proxy settings in the environment, keeps no cookies and follows
    /// no redirects: the upstream is often on the same machine, and the key must not be sent
    /// anywhere else.
    pub(super) fn new(settings: &UpstreamSettings) -> Result<Caller, String> {
        // An error means that a provider is already installed, which is enough.
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
        let url = below(&settings.base_url, &["chat", "completions"])?;
        let models_url = below(&settings.base_url, &["models"])?;
        let (limit, first_byte_timeout) = (settings.output_limit, settings.first_byte_timeout);
        Ok(Caller { client, url, models_url, authorization, limit, first_byte_timeout })
    }

    /// Builds a request for the list of models.
    pub(super) fn models_request(&self) -> RequestBuilder {
        self.authorized(self.client.get(self.models_url.clone()).header(ACCEPT, "application/json"))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(key) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
    }

    /// Sends the question, again where that is safe, and waits for the first byte of the answer.
    pub(super) async fn call(&self, question: &Question, mark: &PromptMark) -> Result<Begun, Failure> {
        let body = Bytes::from(body_of(question, self.limit));
        let attempts = self.attempts(body, mark, Instant::now());
        timeout(self.first_byte_timeout, attempts).await.unwrap_or(Err(Failure::FirstByteTimeout))
    }

    async fn attempts(&self, body: Bytes, mark: &PromptMark, begun: Instant) -> Result<Begun, Failure> {
        let mut retries = 0;
        loop {
            let body = PromptBody::new(body.clone(), mark.clone());
            let miss = match self.attempt(body).await {
                Ok(answer) => return Ok(answer),
                Err(miss) => miss,
            };
            // An upstream that failed counts as not having worked on the prompt.
            mark.set(false);
            let wait = miss.wait(retries).ok_or(miss.failure)?;
            if begun.elapsed().saturating_add(wait) >= self.first_byte_timeout {
                return Err(miss.failure);
            }
            tokio::time::sleep(wait).await;
            retries += 1;
        }
    }

    async fn attempt(&self, body: PromptBody) -> Result<Begun, Miss> {
        let request = self.authorized(self.client.post(self.url.clone()));
        let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "text/event-stream");
        let mut response = request.body(Body::wrap(body)).send().await.map_err(lost)?;
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

/// Returns an address below the upstream's base URL.
fn below(base: &Url, segments: &[&str]) -> Result<Url, String> {
    if !matches!(base.scheme(), "http" | "https") {
        return Err("the upstream's URL must begin with http:// or https://".to_owned());
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err("the upstream's URL must not have a user or a password: give its key instead".to_owned());
    }
    let mut url = base.clone();
    url.set_fragment(None);
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend(segments),
        Err(()) => return Err("the upstream's URL cannot have a path".to_owned()),
    };
    Ok(url)
}

/// The field of the protocol that limits the tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum OutputLimit {
    /// The name that nearly all servers use
    #[default]
    MaxTokens,
    /// The name that OpenAI's reasoning models need
    MaxCompletionTokens,
}

impl OutputLimit {
    /// Returns the name of the field.
    pub(super) const fn name(self) -> &'static str {
        match self {
            OutputLimit::MaxTokens => "max_tokens",
            OutputLimit::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// Fields that this server sets, and fields that would override them or ask for more answers than
/// were charged.
const OURS: [&str; 7] =
    ["model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options"];

/// Writes the body of the request. Our own fields override the client's, because the price was
/// calculated from them. The conversation is written directly as text, without another copy, as it
/// may be large.
fn body_of(question: &Question, limit: OutputLimit) -> Vec<u8> {
    #[derive(Serialize)]
    struct Fields<'a> {
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
    let fields = Fields {
        options: options.filter(|(name, _)| !OURS.contains(name)).collect(),
        limit: BTreeMap::from([(limit.name(), question.max_output)]),
        model: &question.model,
        messages: &question.messages,
        stream: true,
        stream_options: BTreeMap::from([("include_usage", true)]),
    };
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// Returns the form of a successful response. `None` if it is not an answer.
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

/// Handles a call without a response.
fn lost(error: reqwest::Error) -> Miss {
    let failure = if error.is_connect() { Failure::Unreachable } else { Failure::ConnectionLost };
    // The operator needs the reason: an unknown host name, or a certificate that is not trusted. It
    // contains no text from the upstream, and not the address, whose query may contain a secret.
    log::warn!("{}: {:?}", failure.reason().text(), error.without_url());
    let advice = if failure == Failure::Unreachable { Advice::Again(None) } else { Advice::Never };
    Miss { failure, advice }
}

/// Handles a response that is not an answer.
async fn refusal(response: Response) -> Miss {
    let status = response.status();
    let failure = failure_of(status);
    log::warn!("the upstream answered with status {}: {}", status.as_u16(), failure.reason().text());
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

/// Returns the failure that a status means.
pub(super) fn failure_of(status: StatusCode) -> Failure {
    match status.as_u16() {
        401 | 403 => Failure::KeyRejected,
        429 => Failure::RateLimited,
        // No credit, no such model or address: other requests would fail too.
        402 | 404 | 405 | 410 => Failure::ModelUnavailable,
        400..=499 => Failure::RequestRejected,
        500..=599 => Failure::ServerError,
        _ => Failure::NotAnAnswer,
    }
}

/// Reads and discards at most [`MOST_OF_AN_ERROR`] of a body.
pub(super) async fn throw_away(mut response: Response) {
    let mut left = MOST_OF_AN_ERROR;
    while let Ok(Some(bytes)) = response.chunk().await
        && let Some(less) = left.checked_sub(bytes.len())
    {
        left = less;
    }
}

#[cfg(test)]
mod tests;
