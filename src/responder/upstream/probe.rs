//! The probe: our own request that checks whether an upstream works. It generates nothing, is free,
//! and no user can influence it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Inner;
use super::breaker::{Breaker, Moment, ProbeFailure, Watch};
use super::call::{Caller, read_error};
use super::complaint::Complaint;
use super::retry::asked_wait;
use crate::clock;
use crate::responder::Failure;

/// Time limit for a probe.
const PATIENCE: Duration = Duration::from_secs(5);

impl Caller {
    /// Requests the list of models. Every status shows that the upstream works, except 5xx other
    /// than 501 and, if calls failed for the same reason, 401 and 403. The names in the list do not
    /// matter: many servers answer calls for models that they do not list.
    async fn probe(&self, key_is_doubted: bool) -> Result<(), ProbeFailure> {
        let failed = |failure| ProbeFailure { failure, asked_wait: None };
        let answer = timeout(PATIENCE, self.models_request().send()).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(failed(Failure::Unreachable)),
            Ok(Err(_)) => return Err(failed(Failure::ConnectionLost)),
            Err(_) => return Err(failed(Failure::FirstByteTimeout)),
        };
        let status = response.status();
        let has_failed = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => key_is_doubted,
            StatusCode::NOT_IMPLEMENTED => false,
            _ => status.is_server_error(),
        };
        let asked_wait = asked_wait(response.headers(), clock::now());
        // The connection can be reused once the body is read. Read only a little of it.
        let _ = timeout(PATIENCE, read_error(response)).await;
        if has_failed {
            Err(ProbeFailure { failure: Complaint::default().failure(status), asked_wait })
        } else {
            Ok(())
        }
    }
}

/// Probes in the background, if a failure requires it, until the breaker is closed or the upstream
/// is dropped.
pub(super) fn watch(upstream: &Arc<Inner>, breaker: Arc<Breaker>, watch: Watch) {
    let Watch::After(wait) = watch else { return };
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(probe_until_closed(Arc::downgrade(upstream), breaker, wait));
    }
}

async fn probe_until_closed(upstream: Weak<Inner>, breaker: Arc<Breaker>, mut wait: Duration) {
    loop {
        tokio::time::sleep(wait).await;
        let Some(upstream) = upstream.upgrade() else { return };
        let key_is_doubted = breaker.key_is_doubted();
        let result = upstream.caller.probe(key_is_doubted).await;
        drop(upstream);
        match breaker.probed(result, Moment::now()) {
            Some(next) => wait = next,
            None => return,
        }
    }
}
