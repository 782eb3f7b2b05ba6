//! `GET /healthz` or `GET /health` (the process is alive), and `GET /readyz` (the node can serve
//! requests).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::NaiveDateTime;
use serde_json::{Value, json};
use tokio::time::{self, timeout, timeout_at};

use crate::auth::{Auth, Credentials};
use crate::chat::Toll;
use crate::client_address::{client_of, forwarding_of};
use crate::clock::rfc3339;
use crate::db::{Db, NotReady};
use crate::domain::FailureReason;
use crate::error::{Error, Result};
use crate::http::Readiness;
use crate::models::User;
use crate::responder::{Health, ModelHealth};

/// The header by which `tollgate doctor` asks whether the proxy on its way is trusted, and that of
/// the answer. The answer says nothing of addresses.
const DOCTOR: &str = "x-tollgate-doctor";

/// `GET /healthz`, and `GET /health`, which many programs expect: responds as long as the process
/// is alive.
pub(super) async fn alive(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if request.headers().contains_key(DOCTOR) {
        response.insert_header((DOCTOR, format!("forwarded-for={}", forwarding_of(&request).word())));
    }
    response.json(json!({ "status": "alive" }))
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
    let mut body = json!({ "status": "ready" });
    if let Some(health) = toll.upstream_health()
        && let Ok(true) = timeout_at(deadline, is_administrator(&auth, &request)).await
    {
        body["upstream"] = upstream(&health);
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

fn upstream(health: &Health) -> Value {
    json!({
        "breaker": health.state.as_str(),
        "failures_in_a_row": health.failures_in_a_row,
        "last_failure": health.last_failure.map(failure),
        "last_success_at": health.last_success.map(rfc3339),
        "in_flight": health.in_flight,
        "waiting": health.waiting,
        "models": health.models.iter().map(model).collect::<Vec<_>>(),
    })
}

fn model(health: &ModelHealth) -> Value {
    json!({
        "model": health.name,
        "breaker": health.state.as_str(),
        "failures_in_a_row": health.failures_in_a_row,
        "last_failure": health.last_failure.map(failure),
        "last_success_at": health.last_success.map(rfc3339),
        "to_fix": health.fault.map(|fault| fault.advice()),
    })
}

fn failure((at, reason): (NaiveDateTime, FailureReason)) -> Value {
    json!({ "at": rfc3339(at), "reason": reason.text(), "code": reason.code() })
}
