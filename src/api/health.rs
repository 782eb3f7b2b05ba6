//! `GET /healthz` or `GET /health` (the process is alive), and `GET /readyz` (the node can serve
//! requests).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::json;
use tokio::time::{self, timeout, timeout_at};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::page;
use crate::auth::{Auth, Credentials};
use crate::chat::Toll;
use crate::client_address::{client_of, forwarding_of};
use crate::clock::rfc3339;
use crate::db::{Db, NotReady};
use crate::domain::FailureReason;
use crate::error::{Error, Result};
use crate::http::operation::{Access, Operation, Parameter, Success, Tag};
use crate::http::{Readiness, Schema};
use crate::models::User;
use crate::responder::{Health, ModelHealth};

/// The header by which `tollgate doctor` asks whether the proxy on its way is trusted, and that of
/// the answer. The answer says nothing of addresses.
const DOCTOR: &str = "x-tollgate-doctor";

/// The state of the server.
#[derive(Serialize, ToSchema)]
#[schema(as = State)]
struct StateView {
    /// The state.
    #[schema(schema_with = states)]
    status: &'static str,
    /// The upstream, for administrators. Missing for others, and if the dummy answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    upstream: Option<UpstreamView>,
}

/// The calls of the upstream.
#[derive(Serialize, ToSchema)]
#[schema(as = Upstream)]
struct UpstreamView {
    /// Whether calls are made: the worst state of any model.
    #[schema(schema_with = breakers)]
    breaker: &'static str,
    /// Failures since the last good answer: the largest number of any model.
    failures_in_a_row: u32,
    /// Why the last call failed. `null` if none has failed.
    #[schema(required)]
    last_failure: Option<FailureView>,
    /// When the last answer was completed (RFC 3339).
    #[schema(required, format = DateTime)]
    last_success_at: Option<String>,
    /// Calls in flight.
    in_flight: usize,
    /// Calls that wait for a place.
    waiting: usize,
    /// Each model of the settings.
    models: Vec<ModelView>,
}

/// The calls of one model.
#[derive(Serialize, ToSchema)]
#[schema(as = UpstreamModel)]
struct ModelView {
    /// The model.
    model: String,
    /// Whether calls are made.
    #[schema(schema_with = breakers)]
    breaker: &'static str,
    /// Failures since the last good answer.
    failures_in_a_row: u32,
    /// Why the last call failed. `null` if none has failed.
    #[schema(required)]
    last_failure: Option<FailureView>,
    /// When the last answer was completed (RFC 3339).
    #[schema(required, format = DateTime)]
    last_success_at: Option<String>,
    /// What the operator must do. `null` if there is nothing to do.
    #[schema(required)]
    to_fix: Option<String>,
}

/// A call that failed.
#[derive(Serialize, ToSchema)]
#[schema(as = Failure)]
struct FailureView {
    /// When it failed (RFC 3339).
    #[schema(format = DateTime)]
    at: String,
    /// Why, for people.
    reason: &'static str,
    /// Why, for programs.
    code: &'static str,
}

fn states() -> Object {
    page::words("The state.", &["alive", "ready"])
}

fn breakers() -> Object {
    page::words("Whether calls are made.", &["closed", "open", "half-open"])
}

/// Describes `GET /healthz` and `GET /health`.
pub(super) fn describe_alive() -> Operation {
    let doctor = Parameter::header(
        "X-Tollgate-Doctor",
        "Asks what became of X-Forwarded-For; the response has a header of the same name.",
        json!({ "type": "string" }),
    );
    let returned =
        Success::json(200, "It is alive.", Schema::of::<StateView>(), json!({ "status": "alive" }));
    Operation::of(alive)
        .titled(Tag::Server, "Is it alive?")
        .about("Responds as long as the process is alive.")
        .with([doctor])
        .returns(returned.perhaps_with(&["X-Tollgate-Doctor"]))
}

/// Describes `GET /readyz`.
pub(super) fn describe_ready() -> Operation {
    let returned =
        Success::json(200, "It is ready.", Schema::of::<StateView>(), json!({ "status": "ready" }));
    Operation::of(ready)
        .open_to(Access::Optional)
        .titled(Tag::Server, "Is it ready?")
        .about(
            "Checks within 2 s whether this node can read and write. An administrator sees the upstream, \
             too.",
        )
        .returns(returned)
        .fails(
            [NotReady::Draining, NotReady::Database, NotReady::Writer, NotReady::File]
                .map(|why| Error::NotReady(why.word())),
        )
}

/// `GET /healthz`, and `GET /health`, which many programs expect: responds as long as the process
/// is alive.
pub(super) async fn alive(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if request.headers().contains_key(DOCTOR) {
        response.insert_header((DOCTOR, format!("forwarded-for={}", forwarding_of(&request).word())));
    }
    response.json(StateView { status: "alive", upstream: None })
}

/// Time limit for the trial read.
const IN_TIME: Duration = Duration::from_millis(1500);
/// Time limit for the whole check.
const ALL_IN_TIME: Duration = Duration::from_millis(1900);

/// Returns why this node cannot read and write now, or `None` if it can. Takes at most 1.5 s.
pub async fn not_ready(readiness: &Readiness, db: &Db) -> Option<NotReady> {
    if readiness.is_draining() {
        return Some(NotReady::Draining);
    }
    let read = timeout(IN_TIME, db.read(|conn| Ok(User::find(conn, 0)?)));
    let (read, trouble) = tokio::join!(read, db.not_ready());
    trouble.or(if matches!(read, Ok(Ok(_))) { None } else { Some(NotReady::Database) })
}

/// Checks whether this node can read and write now, within 2 s. A 503 has one fixed word as its
/// reason. Only administrators see that an upstream does not answer, and only in the body: other
/// nodes have the same upstream, so sending requests to them would not help.
pub(super) async fn ready(
    request: HttpRequest,
    readiness: web::Data<Readiness>,
    db: web::Data<Db>,
    toll: web::Data<Toll>,
    auth: web::Data<Auth>,
) -> Result<HttpResponse> {
    let deadline = time::Instant::now() + ALL_IN_TIME;
    if let Some(trouble) = not_ready(&readiness, &db).await {
        return Err(Error::NotReady(trouble.word()));
    }
    let mut body = StateView { status: "ready", upstream: None };
    if let Some(health) = toll.upstream_health()
        && let Ok(true) = timeout_at(deadline, is_administrator(&auth, &request)).await
    {
        body.upstream = Some(upstream(&health));
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Returns whether the request has the auth token of an administrator. Tokens are not looked up for
/// an address that has sent too many bad ones.
async fn is_administrator(auth: &Auth, request: &HttpRequest) -> bool {
    let Credentials::Token(digest) = Credentials::of(request) else { return false };
    let from = client_of(request);
    if auth.check_stranger(digest, from).is_err() {
        return false;
    }
    match auth.current_user(digest).await {
        Ok(current) => current.user.is_staff || current.user.is_superuser,
        Err(Error::Unauthorized) => {
            // Counts the bad token against the address.
            auth.refuse(Some(digest), from);
            false
        }
        Err(_) => false,
    }
}

fn upstream(health: &Health) -> UpstreamView {
    UpstreamView {
        breaker: health.state.as_str(),
        failures_in_a_row: health.failures_in_a_row,
        last_failure: health.last_failure.map(failure),
        last_success_at: health.last_success.map(rfc3339),
        in_flight: health.in_flight,
        waiting: health.waiting,
        models: health.models.iter().map(model).collect(),
    }
}

fn model(health: &ModelHealth) -> ModelView {
    ModelView {
        model: health.name.clone(),
        breaker: health.state.as_str(),
        failures_in_a_row: health.failures_in_a_row,
        last_failure: health.last_failure.map(failure),
        last_success_at: health.last_success.map(rfc3339),
        to_fix: health.fault.map(|fault| fault.advice()),
    }
}

fn failure((at, reason): (NaiveDateTime, FailureReason)) -> FailureView {
    FailureView { at: rfc3339(at), reason: reason.text(), code: reason.code() }
}
