//! The HTTP server: its parts ([`Services`]), its routes, which the tests mount too, and its life
//! from the first request to the last settled hold.

mod connections;
mod cors;
mod housekeeping;
mod middleware;
mod services;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::App;
use actix_web::middleware::from_fn;

pub use cors::cors;
pub use middleware::middleware;
pub use services::{Services, routes};

use crate::config::Config;
use stop::stop_on_signal;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Serves until a stop signal, then drains. Calls `listening` with the address once connections are
/// accepted.
///
/// # Errors
/// Fails if it cannot listen on the address or handle signals.
pub async fn serve(
    config: &Config,
    services: Services,
    listening: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let app = services.clone();
    let origins = config.listen.cors_origins.clone();
    let workers = config.listen.workers.map_or_else(cores, usize::from);
    let (server, address) = connections::listen(config, workers, &services.memory, move || {
        App::new().wrap(cors(&origins)).wrap(from_fn(middleware)).configure(routes(app.clone()))
    })?;
    let drain_delay = Duration::from_secs(config.listen.drain_delay);
    let stopper = actix_web::rt::spawn(stop_on_signal(server.handle(), services.clone(), drain_delay)?);
    let keeper = actix_web::rt::spawn(housekeeping::run(services.clone(), config.clone()));
    log::info!("listening on http://{address}");
    listening(address);
    server.await?;
    keeper.abort();
    // After a stop signal, wait until holds are settled. A server that ended without one has
    // failed, so nothing waits.
    if services.readiness.is_draining() {
        let _ = stopper.await;
    }
    log::info!("stopped");
    Ok(())
}
