//! `GET /healthz` (the process is alive) and `GET /readyz` (it can serve: send requests here).

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::clock::rfc3339;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::metering::Toll;
use crate::models::User;

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

    /// When it was told to stop.
    pub fn draining_since(&self) -> Option<Instant> {
        self.draining.get().copied()
    }
}

pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// The status says whether this node works. An upstream that does not is told in the body only: another node has the same
/// upstream, so sending requests there would help nobody.
pub(super) async fn ready(
    readiness: web::Data<Readiness>,
    db: web::Data<Db>,
    toll: web::Data<Toll>,
) -> Result<HttpResponse> {
    if readiness.is_draining() {
        return Err(Error::Unavailable("draining".to_owned()));
    }
    db.read(|conn| Ok(User::find(conn, 0)?)).await?;
    let Some(health) = toll.upstream_health() else {
        return Ok(HttpResponse::Ok().json(json!({ "status": "ready" })));
    };
    let upstream = json!({
        "breaker": health.state.as_str(),
        "failures_in_a_row": health.failures_in_a_row,
        "last_failure": health.last_failure.map(|(at, why)| json!({ "at": rfc3339(at), "reason": why })),
        "last_success_at": health.last_success.map(rfc3339),
        "in_flight": health.in_flight,
        "waiting": health.waiting,
    });
    Ok(HttpResponse::Ok().json(json!({ "status": "ready", "upstream": upstream })))
}
