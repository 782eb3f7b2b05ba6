//! The HTTP server: what it is made of ([`Services`]), its routes, which the tests mount too, and its life from
//! the first request to the last settled hold.

mod cors;
mod housekeeping;
mod manners;
mod services;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer};

pub use cors::cors;
pub use manners::manners;
pub use services::{Services, routes};

use crate::config::Config;
use stop::stop_on_signal;

/// When actix cuts the connections that are left, in seconds: after the holds had their time.
const SHUTDOWN_TIMEOUT: u64 = 8;
/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 2048;
/// How long an idle connection is kept for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Serves until it is told to stop, then drains. `listening` is told the first address once connections are taken.
pub async fn serve(
    config: &Config,
    services: Services,
    listening: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let app = services.clone();
    let origins = config.listen.cors_origins.clone();
    let workers = config.listen.workers.map_or_else(cores, usize::from);
    let connections = usize::try_from(config.listen.max_connections).unwrap_or(usize::MAX);
    let server = HttpServer::new(move || {
        App::new().wrap(cors(&origins)).wrap(from_fn(manners)).configure(routes(app.clone()))
    })
    .workers(workers)
    .backlog(BACKLOG)
    .max_connections((connections / workers).max(1))
    .client_request_timeout(Duration::from_secs(config.listen.head_timeout))
    .keep_alive(KEEP_ALIVE)
    // Else each part of a stream would wait until the client's machine has acknowledged the one before it.
    .tcp_nodelay(true)
    // A client that closes its connection has left, also while nothing is being written to it: see docs/decisions.md.
    .h1_allow_half_closed(false)
    .shutdown_timeout(SHUTDOWN_TIMEOUT)
    .disable_signals()
    .bind(config.listen.bind)?;
    let addresses: Vec<SocketAddr> = server.addrs();
    let server = server.run();
    let drain_delay = Duration::from_secs(config.listen.drain_delay);
    let stopper = actix_web::rt::spawn(stop_on_signal(server.handle(), services.clone(), drain_delay)?);
    let keeper = actix_web::rt::spawn(housekeeping::run(services.clone(), config.clone()));
    for address in &addresses {
        log::info!("listening on http://{address}");
    }
    addresses.first().copied().map(listening);
    server.await?;
    keeper.abort();
    // A server that ended by itself has something wrong with it, and nobody waits for its holds.
    if services.readiness.is_draining() {
        let _ = stopper.await;
    }
    log::info!("stopped");
    Ok(())
}
