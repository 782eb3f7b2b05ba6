//! The metrics: one page, in the text format of Prometheus, on a listener of its own
//! (`--metrics-bind`), so that the address of the API need not show them to anybody.
//!
//! The connections have the same limits as those of clients, but their own places, thread and
//! memory: neither a scrape nor a flood of clients can hold up the other.

mod collect;
mod observed;
mod process;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, guard};

use super::Services;
use super::connections::{self, Exchange};
use super::traffic::Traffic;
use crate::config::Config;
use crate::metrics::Exposition;
use crate::throttle::MemoryBudget;
use observed::Observations;

/// The path of the page.
const PATH: &str = "/metrics";
/// The most connections. A Prometheus needs one.
const MOST_CONNECTIONS: u32 = 32;
/// The memory for pages that are being sent.
const MEMORY: u64 = 16 << 20;
/// The type of the page.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that a scrape reads.
struct Sources {
    services: Services,
    observations: Observations,
    /// The folder of the SQLite file. `None` on PostgreSQL.
    data_folder: Option<PathBuf>,
}

/// Serves the metrics on this address, beside the server itself, until the handle stops it.
///
/// # Errors
/// Fails if it cannot listen on the address.
pub(super) fn start(config: &Config, bind: SocketAddr, services: &Services) -> io::Result<ServerHandle> {
    let mut own = config.clone();
    own.listen.address.bind = bind;
    own.listen.max_connections = MOST_CONNECTIONS;
    own.listen.max_connections_per_address = MOST_CONNECTIONS;
    let sources = Data::new(Sources {
        services: services.clone(),
        observations: Observations::default(),
        data_folder: config.data_folder(),
    });
    // Scrapes are no traffic of clients.
    let traffic = Arc::new(Traffic::default());
    let app = move || {
        let reads = guard::Any(guard::Get()).or(guard::Head());
        App::new()
            .wrap(from_fn(exchange))
            .app_data(sources.clone())
            .service(web::resource(PATH).guard(reads).to(show))
            .default_service(web::to(not_found))
    };
    let shared = connections::Shared::new(&own, 1, &MemoryBudget::new(MEMORY), None, &traffic);
    let (server, address) = connections::listen(&own, 1, shared, app)?;
    log::info!("metrics on http://{address}{PATH}");
    if !address.ip().is_loopback() {
        log::warn!("the metrics have no password: only your monitoring should reach {address}");
    }
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(handle)
}

/// Tells the connection when a request begins and ends, so that its time limits apply.
async fn exchange<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let exchange = Exchange::begin(&request);
    let response = next.call(request).await?.map_into_boxed_body();
    Ok(exchange.respond(response))
}

async fn show(sources: Data<Sources>) -> HttpResponse {
    let observed = sources.observations.latest(&sources.services.db).await;
    let mut text = Exposition::default();
    collect::write(&sources, &observed, &mut text);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text.into_text())
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .body("There is nothing here but GET /metrics.\n")
}
