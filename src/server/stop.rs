//! The end of the server: what happens between SIGTERM and the exit.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout_at};

use super::Services;

/// How long open holds may take to be answered once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(7);
/// When the process ends, whatever is left to do: 10 s are promised.
const LAST_MOMENT: Duration = Duration::from_secs(9);

/// Waits for SIGTERM or SIGINT, then: readiness off, no new connections, requests and holds finish.
pub(super) fn stop_on_signal(
    server: ServerHandle,
    services: Services,
) -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log::info!("told to stop: finishing what is in flight");
        let last_moment = Instant::now() + LAST_MOMENT;
        services.readiness.drain();
        let finish = async {
            services.toll.drain(DRAIN, server.stop(true)).await;
            services.auth.write_last_uses().await;
        };
        // Neither a database that hangs nor a client that does not read may keep the process: whatever ends it next would
        // kill it anyway.
        if timeout_at(last_moment, finish).await.is_err() {
            log::error!("not all was finished in time: holds that are still open are left to the sweeper");
        }
    })
}
