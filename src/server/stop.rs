//! Stops the server between SIGTERM and the exit.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout, timeout_at};

use super::Services;

/// How long open holds may take after the stop signal.
const DRAIN: Duration = Duration::from_secs(7);
/// When the process ends, even if work is left. The promise is 10 s from the end of
/// `--drain-delay`.
const LAST_MOMENT: Duration = Duration::from_secs(9);

/// Waits for SIGTERM or SIGINT and turns readiness off. For `delay`, clients and proxies can notice
/// this. Then the server accepts no new connections, and finishes requests and holds.
pub(super) fn stop_on_signal(
    server: ServerHandle,
    services: Services,
    delay: Duration,
) -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        signalled().await;
        services.readiness.drain();
        if !delay.is_zero() {
            log::info!("told to stop: no longer ready, still listening for {} s", delay.as_secs());
            // A second signal ends the delay.
            let _ = timeout(delay, signalled()).await;
        }
        log::info!("told to stop: finishing requests in flight");
        services.readiness.finish();
        services.backups.stop();
        let last_moment = Instant::now() + LAST_MOMENT;
        let finish = async {
            let drained = services.toll.drain(DRAIN, server.stop(true));
            tokio::join!(drained, services.backups.stopped());
            services.auth.write_last_uses().await;
        };
        // Neither a database that hangs nor a client that does not read may delay the exit: a
        // service manager would kill the process anyway.
        if timeout_at(last_moment, finish).await.is_err() {
            log::error!("not all was finished in time: holds that are still open are left to the sweeper");
        }
    })
}
