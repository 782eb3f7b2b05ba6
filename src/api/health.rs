//! `GET /healthz` (the process is alive) and `GET /readyz` (it can serve: send requests here).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::db::Db;
use crate::error::{Error, Result};
use crate::models::User;

/// Whether the server takes new requests: not once it was told to stop. Migrations are done before it listens.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    draining: Arc<AtomicBool>,
}

impl Readiness {
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

pub(super) async fn ready(readiness: web::Data<Readiness>, db: web::Data<Db>) -> Result<HttpResponse> {
    if readiness.is_draining() {
        return Err(Error::Unavailable("draining".to_owned()));
    }
    db.read(|conn| Ok(User::find(conn, 0)?)).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}
