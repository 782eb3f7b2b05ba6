//! One call to the upstream, up to the first byte of its answer.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, redirect};
use tokio::time::timeout;
use url::Url;

use super::UpstreamSettings;
use super::complaint::Complaint;
use super::fault::OperatorFault;
use super::openai;
use super::prompt::{PromptBody, PromptMark};
use super::request_form::{Acceptance, Adaptation, RequestForm, RequestForms};
use super::retry::{Advice, Miss, asked_wait};
use super::translation::as_chat;
use crate::clock;
use crate::responder::{Failure, Question, QuestionKind};

/// How long an unused connection is kept. Most servers keep it longer, so they do not close it just
/// as it is used.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// The most bytes of an error's body that are read.
const MOST_OF_AN_ERROR: usize = 16 << 10;
/// How long an error's body may take to arrive.
const PATIENCE_WITH_AN_ERROR: Duration = Duration::from_secs(2);
/// The most times that the form of one request is adapted.
const MOST_ADAPTATIONS: u32 = 5;

/// Makes calls to an upstream.
pub(super) struct Caller {
    client: Client,
    chat_url: Url,
    completions_url: Url,
    embeddings_url: Url,
    models_url: Url,
    authorization: Option<HeaderValue>,
    forms: RequestForms,
    first_byte_timeout: Duration,
    total_timeout: Duration,
}

/// A response whose first bytes have arrived.
pub(super) struct Begun {
    pub(super) response: Response,
    pub(super) first: Bytes,
    /// Whether it says that it is a stream of events.
    pub(super) declares_events: bool,
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
        Ok(Caller {
            client,
            chat_url: below(&settings.base_url, &openai::CHAT_COMPLETIONS)?,
            completions_url: below(&settings.base_url, &openai::COMPLETIONS)?,
            embeddings_url: below(&settings.base_url, &openai::EMBEDDINGS)?,
            models_url: below(&settings.base_url, &openai::MODELS)?,
            authorization,
            forms: RequestForms::new(settings.output_limit),
            first_byte_timeout: settings.first_byte_timeout,
            total_timeout: settings.total_timeout,
        })
    }

    /// Builds a request for the list of models.
    pub(super) fn models_request(&self) -> RequestBuilder {
        self.authorized(self.models_request_without_key())
    }

    /// Builds a request for the list of models that does not have the key.
    pub(super) fn models_request_without_key(&self) -> RequestBuilder {
        self.client.get(self.models_url.clone()).header(ACCEPT, "application/json")
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(key) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
    }

    /// Sends the question, again where that is safe, and waits for the first byte of the answer. If
    /// the upstream rejects the form of the request, and not its content, it is sent once more in a
    /// form that the upstream accepts.
    pub(super) async fn call(&self, question: &Question, mark: &PromptMark) -> Result<Begun, Miss> {
        let asked = self.forms.of(&question.model);
        let (mut form, mut is_remembered) = (asked, true);
        let begun = Instant::now();
        let mut adaptations = 0;
        loop {
            let miss = match self.call_in_form(question, form, mark, begun).await {
                Ok(answer) => {
                    let has_completed =
                        matches!(question.kind, QuestionKind::Completion(_)) && !form.completes_by_chat;
                    let found = if is_remembered { form } else { asked };
                    self.forms.accepted(&question.model, &Acceptance { asked, found, has_completed });
                    return Ok(answer);
                }
                Err(miss) => miss,
            };
            let next = self.next_form(question, form, &miss, adaptations);
            if next.is_some_and(|(adaptation, _)| !adaptation.is_certain()) {
                // It may be one of the client's own options that excludes streams.
                let names_a_field =
                    miss.complaint.as_ref().is_some_and(|complaint| complaint.field.is_some());
                is_remembered &= names_a_field || question.options.is_empty();
            }
            if matches!(next, Some((Adaptation::WithoutHints(_), _))) {
                // Another value of the same hint may be accepted.
                let is_unknown = |it: &Complaint| it.is_about_an_unknown_field() && !it.mentions("value");
                is_remembered &= miss.complaint.as_ref().is_some_and(is_unknown);
            }
            if matches!(next, Some((Adaptation::CompletionsByChat, _))) {
                // Anything else may be gone with the next request.
                is_remembered &= miss.complaint.as_ref().is_some_and(Complaint::is_about_the_path);
            }
            let Some((adaptation, next)) = next else { return Err(miss) };
            question.label().warn(&format!("{}. The request is sent again", adaptation.text()));
            form = next;
            adaptations += 1;
        }
    }

    /// Returns how to send a question again that the upstream rejected in this form. `None` if that
    /// would not help.
    fn next_form(
        &self,
        question: &Question,
        form: RequestForm,
        miss: &Miss,
        adaptations: u32,
    ) -> Option<(Adaptation, RequestForm)> {
        if adaptations >= MOST_ADAPTATIONS {
            return None;
        }
        let complaint = miss.complaint.as_ref().filter(|_| miss.is_about_the_request());
        match (&question.kind, miss.failure) {
            (QuestionKind::Completion(_), Failure::EndpointMissing(_)) => form.by_chat(),
            (QuestionKind::Embeddings(_), _) => form.for_embeddings(complaint?),
            _ => {
                let complaint = complaint?;
                let without_hints = form.without_hints(question, complaint);
                without_hints.or_else(|| self.forms.adaptation(&question.model, form, complaint))
            }
        }
    }

    /// Returns what the operator can change so that requests to a model need not be adapted.
    pub(super) fn fault_of_form(&self, model: &str) -> Option<OperatorFault> {
        self.forms.fault(model)
    }

    async fn call_in_form(
        &self,
        question: &Question,
        form: RequestForm,
        mark: &PromptMark,
        begun: Instant,
    ) -> Result<Begun, Miss> {
        let translated;
        let question = match &question.kind {
            QuestionKind::Completion(completion) if form.completes_by_chat => {
                let missing = |field| Miss::for_good(Failure::EndpointMissing(field));
                translated = as_chat(question, completion).map_err(missing)?;
                &translated
            }
            _ => question,
        };
        // An upstream that does not stream sends nothing before the answer is complete.
        let streams = form.streams && !question.is_for_embeddings();
        let limit = if streams { self.first_byte_timeout } else { self.total_timeout };
        let body = Bytes::from(openai::body_of(question, form));
        let left = limit.saturating_sub(begun.elapsed());
        let attempts = self.attempts(body, question, mark, begun + limit);
        timeout(left, attempts).await.unwrap_or(Err(Miss::for_good(Failure::FirstByteTimeout)))
    }

    async fn attempts(
        &self,
        body: Bytes,
        question: &Question,
        mark: &PromptMark,
        deadline: Instant,
    ) -> Result<Begun, Miss> {
        let mut retries = 0;
        loop {
            let body = PromptBody::new(body.clone(), mark.clone());
            let miss = match self.attempt(body, question).await {
                Ok(answer) => return Ok(answer),
                Err(miss) => miss,
            };
            // An upstream that failed counts as not having worked on the prompt.
            mark.set(false);
            let Some(wait) = miss.wait(retries) else { return Err(miss) };
            if Instant::now() + wait >= deadline {
                return Err(miss);
            }
            tokio::time::sleep(wait).await;
            retries += 1;
        }
    }

    async fn attempt(&self, body: PromptBody, question: &Question) -> Result<Begun, Miss> {
        let url = match question.kind {
            QuestionKind::Chat => &self.chat_url,
            QuestionKind::Completion(_) => &self.completions_url,
            QuestionKind::Embeddings(_) => &self.embeddings_url,
        };
        let request = self.authorized(self.client.post(url.clone()));
        let accepted = "text/event-stream, application/json";
        let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, accepted);
        let mut response =
            request.body(Body::wrap(body)).send().await.map_err(|error| lost(error, question))?;
        if !may_be_an_answer(&response) {
            return Err(refusal(response, question).await);
        }
        let declares_events = essence_of(&response) == "text/event-stream";
        loop {
            match response.chunk().await {
                Ok(Some(first)) if first.is_empty() => {}
                Ok(Some(first)) => return Ok(Begun { response, first, declares_events }),
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

/// Returns whether a response may be an answer: a success, in a format that an answer may have.
/// Some upstreams give no content type, or a wrong one, so the body decides.
fn may_be_an_answer(response: &Response) -> bool {
    if !response.status().is_success() || response.status() == StatusCode::NO_CONTENT {
        return false;
    }
    let essence = essence_of(response);
    let family = essence.split('/').next().unwrap_or_default();
    let is_page = matches!(essence.as_str(), "text/html" | "application/xhtml+xml");
    !is_page && !matches!(family, "image" | "audio" | "video" | "font" | "multipart")
}

/// Returns the content type of a response, without parameters, in lower case.
fn essence_of(response: &Response) -> String {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Handles a call without a response.
fn lost(error: reqwest::Error, question: &Question) -> Miss {
    let failure = if error.is_connect() { Failure::Unreachable } else { Failure::ConnectionLost };
    // The operator needs the reason: an unknown host name, or a certificate that is not trusted. It
    // contains no text from the upstream, and not the address, whose query may contain a secret.
    question.label().warn(&format!("{}: {:?}", failure.reason().text(), error.without_url()));
    let advice = if failure == Failure::Unreachable { Advice::Again(None) } else { Advice::Never };
    Miss { advice, ..Miss::for_good(failure) }
}

/// Handles a response that is not an answer.
async fn refusal(response: Response, question: &Question) -> Miss {
    let status = response.status();
    let can_retry = matches!(status.as_u16(), 429 | 498 | 503 | 529);
    let asked_wait = asked_wait(response.headers(), clock::now());
    let complaint = match status.is_success() {
        true => Complaint::default(),
        false => {
            let body = timeout(PATIENCE_WITH_AN_ERROR, read_error(response)).await;
            openai::complaint(&body.unwrap_or_default())
        }
    };
    let failure = match question.kind {
        QuestionKind::Completion(_) | QuestionKind::Embeddings(_) if complaint.lacks_endpoint(status) => {
            Failure::EndpointMissing("model")
        }
        _ => complaint.failure(status),
    };
    // Never the upstream's own words: they may repeat the prompt.
    question.label().warn(&format!(
        "status {}, code {}, field {}: {}",
        status.as_u16(),
        complaint.code(),
        complaint.field.unwrap_or("none"),
        failure.reason().text()
    ));
    let is_passing = can_retry
        && matches!(failure, Failure::RateLimited | Failure::ServerError | Failure::RequestRejected(_));
    let advice = if is_passing { Advice::Again(asked_wait) } else { Advice::Never };
    let fault = complaint.operator_fault(status, failure);
    Miss { failure, advice, complaint: Some(complaint), fault }
}

/// Reads at most [`MOST_OF_AN_ERROR`] of a body. The connection can be reused if that was all.
pub(super) async fn read_error(mut response: Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        let room = MOST_OF_AN_ERROR - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            break;
        }
    }
    body.freeze()
}

#[cfg(test)]
mod tests;
