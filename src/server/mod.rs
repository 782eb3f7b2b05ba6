//! The HTTP server: its parts ([`Services`]), its routes, which the tests mount too, and its life
//! from the first request to the last settled hold.

mod connections;
mod cors;
mod forwarders;
mod hangup;
mod housekeeping;
mod metrics;
mod middleware;
mod services;
mod stop;
mod traffic;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::App;
use actix_web::middleware::from_fn;

pub use cors::cors;
pub use middleware::middleware;
pub use services::{Services, routes};

use crate::config::Config;
use hangup::reload_on_hangup;
use stop::stop_on_signal;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen on the address for clients, or it has failed later.
    #[error(transparent)]
    Clients(#[from] io::Error),
    /// It cannot listen on this address for the metrics.
    #[error("{1}")]
    Metrics(SocketAddr, io::Error),
}

/// Serves until a stop signal, then drains. Calls `listening` with the address once connections are
/// accepted, and `reload` at each SIGHUP; it returns whether it applied new settings.
///
/// # Errors
/// Fails if it cannot listen on its addresses or handle signals.
pub async fn serve(
    config: &Config,
    services: Services,
    listening: impl FnOnce(SocketAddr),
    reload: impl FnMut(&Services) -> bool + 'static,
) -> Result<(), ServeError> {
    let scraped = match config.listen.metrics_bind {
        Some(bind) => {
            let started = metrics::start(config, bind, &services);
            Some(started.map_err(|error| ServeError::Metrics(bind, error))?)
        }
        None => None,
    };
    let app = services.clone();
    let origins = config.listen.cors_origins.clone();
    let workers = config.listen.workers.map_or_else(cores, usize::from);
    let traffic = services.traffic.clone().into_inner();
    let shared = connections::Shared::new(config, workers, &services.memory, services.tls(), &traffic);
    let (server, address) = connections::listen(config, workers, shared, move || {
        App::new().wrap(cors(&origins)).wrap(from_fn(middleware)).configure(routes(app.clone()))
    })?;
    let drain_delay = Duration::from_secs(config.listen.drain_delay);
    let stopper = actix_web::rt::spawn(stop_on_signal(server.handle(), services.clone(), drain_delay)?);
    let keeper = actix_web::rt::spawn(housekeeping::run(services.clone()));
    let reloader = actix_web::rt::spawn(reload_on_hangup(services.clone(), reload)?);
    let scheme = if services.tls().is_some() { "https" } else { "http" };
    log::info!("listening on {scheme}://{address}");
    listening(address);
    server.await?;
    keeper.abort();
    reloader.abort();
    // After a stop signal, wait until holds are settled. A server that ended without one has
    // failed, so nothing waits.
    if services.readiness.is_draining() {
        let _ = stopper.await;
    }
    if let Some(scraped) = scraped {
        scraped.stop(false).await;
    }
    log::info!("stopped");
    Ok(())
}
