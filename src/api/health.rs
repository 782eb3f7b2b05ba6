//! `GET /healthz` (the process is alive) and `GET /readyz` (it can serve: send requests here).

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::auth::{Auth, Credentials};
use crate::clock::rfc3339;
use crate::db::{Db, NotReady};
use crate::error::{Error, Result};
use crate::metering::Toll;
use crate::models::User;
use crate::responder::Health;

/// Whether the server takes new requests: not once it was told to stop. Migrations are done before it listens.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    draining: Arc<OnceLock<Instant>>,
}

impl Readiness {
    pub fn drain(&self) {
        let _ = self.draining.set(Instant::now());
    }

    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Returns the time of the stop signal, if there was one.
    pub fn draining_since(&self) -> Option<Instant> {
        self.draining.get().copied()
    }
}

pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// Time limit for the trial read.
const IN_TIME: Duration = Duration::from_millis(1500);

/// Whether this node can read and write now, within 2 s. A 503 has one fixed word for the reason. Only
/// administrators see that an upstream does not answer, and only in the body: other nodes have the same
/// upstream, so sending requests to them would not help.
pub(super) async fn ready(
    readiness: web::Data<Readiness>,
    db: web::Data<Db>,
    toll: web::Data<Toll>,
    auth: web::Data<Auth>,
    credentials: Credentials,
) -> Result<HttpResponse> {
    if readiness.is_draining() {
        return Err(Error::NotReady(NotReady::Draining.word()));
    }
    let read = timeout(IN_TIME, db.read(|conn| Ok(User::find(conn, 0)?)));
    let (read, trouble) = tokio::join!(read, db.not_ready());
    if let Some(trouble) = trouble {
        return Err(Error::NotReady(trouble.word()));
    }
    if !matches!(read, Ok(Ok(_))) {
        return Err(Error::NotReady(NotReady::Database.word()));
    }
    let mut body = json!({ "status": "ready" });
    if let Some(health) = toll.upstream_health()
        && is_administrator(&auth, credentials).await
    {
        body["upstream"] = upstream(&health);
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Whether the request has the auth token of an administrator.
async fn is_administrator(auth: &Auth, credentials: Credentials) -> bool {
    let Credentials::Token(digest) = credentials else { return false };
    let asked = timeout(IN_TIME, auth.current_user(digest)).await;
    matches!(asked, Ok(Ok(current)) if current.user.is_staff || current.user.is_superuser)
}

fn upstream(health: &Health) -> Value {
    json!({
        "breaker": health.state.as_str(),
        "failures_in_a_row": health.failures_in_a_row,
        "last_failure": health.last_failure.map(|(at, why)| json!({ "at": rfc3339(at), "reason": why })),
        "last_success_at": health.last_success.map(rfc3339),
        "in_flight": health.in_flight,
        "waiting": health.waiting,
    })
}
