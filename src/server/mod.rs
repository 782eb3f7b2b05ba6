//! The HTTP server: what it is made of ([`Services`]), its routes, which the tests mount too, and its life from
//! the first request to the last settled hold.

mod housekeeping;
mod manners;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout_at};

use crate::admin::{self, ModelSettings, PublicOrigin, SiteTitle, UserLimitDefaults};
use crate::administration::Bulk;
use crate::api::{self, BodyTimeout, Https, LargeBodies, Readiness};
use crate::auth::{AccountRules, Auth, Hasher};
use crate::client_address::TrustedProxies;
use crate::config::{Config, LoginErrors, Registration, Switch};
use crate::db::Db;
use crate::metering::Toll;
use crate::pages;
use crate::throttle::Throttle;

pub use manners::manners;

/// How long open holds may take to be answered once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(7);
/// When actix cuts the connections that are left, in seconds: after the holds had their time.
const SHUTDOWN_TIMEOUT: u64 = 8;
/// When the process ends, whatever is left to do: 10 s are promised.
const LAST_MOMENT: Duration = Duration::from_secs(9);
/// Log-ins and registrations that may wait for a core to hash on, for each core.
const WAITING_PER_CORE: usize = 32;
/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 2048;
/// How long an idle connection is kept for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Everything that handlers use. Made once, shared by all workers.
#[derive(Clone)]
pub struct Services {
    pub db: Data<Db>,
    pub auth: Data<Auth>,
    pub toll: Data<Toll>,
    pub bulk: Data<Bulk>,
    pub readiness: Data<Readiness>,
    body_timeout: Data<BodyTimeout>,
    large_bodies: Data<LargeBodies>,
    proxies: Data<TrustedProxies>,
    https: Data<Https>,
    public_origin: Data<PublicOrigin>,
    site_title: Data<SiteTitle>,
    model_settings: Data<ModelSettings>,
    user_limits: Data<UserLimitDefaults>,
}

impl Services {
    /// `runtime` is where holds are settled: it must outlive the server.
    ///
    /// # Errors
    /// What the settings lack.
    pub fn new(config: &Config, db: Db, runtime: Handle) -> Result<Services, String> {
        let cores = cores();
        let hasher = Hasher::new(config.accounts.bcrypt_cost, cores, cores * WAITING_PER_CORE);
        let days = config.accounts.auth_token_days;
        let rules = AccountRules {
            opening_tokens: config.metering.opening_tokens,
            registration_open: config.accounts.registration == Registration::Open,
            unified_login_errors: config.accounts.login_errors == LoginErrors::Unified,
            session_idle: TimeDelta::minutes(i64::from(config.accounts.session_idle_minutes)),
            session_lifetime: TimeDelta::hours(i64::from(config.accounts.session_hours)),
            requests_per_minute: config.limits.requests_per_minute,
            auth_token_lifetime: (days > 0).then(|| TimeDelta::days(i64::from(days))),
        };
        let throttle = Throttle::new(config.accounts.throttle == Switch::On);
        let responder = config.responder()?;
        let named = responder.models().to_vec();
        let toll = Toll::new(db.clone(), responder, config.prices(), runtime);
        Ok(Services {
            auth: Data::new(Auth::new(db.clone(), hasher, throttle, rules)),
            db: Data::new(db),
            toll: Data::new(toll),
            bulk: Data::new(Bulk::default()),
            readiness: Data::new(Readiness::default()),
            body_timeout: Data::new(BodyTimeout(Duration::from_secs(config.listen.body_timeout))),
            large_bodies: Data::new(LargeBodies::default()),
            proxies: Data::new(config.listen.trusted_proxies.clone()),
            https: Data::new(Https(config.is_https())),
            public_origin: Data::new(PublicOrigin(config.public_origin())),
            site_title: Data::new(SiteTitle(config.listen.site_title.clone())),
            model_settings: Data::new(ModelSettings {
                message_price: config.metering.chat_price,
                max_output: config.upstream.upstream_max_output,
                named,
            }),
            user_limits: Data::new(UserLimitDefaults {
                concurrent_chats: config.limits.concurrent_chats,
                requests_per_minute: i64::from(config.limits.requests_per_minute),
            }),
        })
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// All routes with what they need: the whole of the server but its manners.
pub fn routes(services: Services) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(services.db)
            .app_data(services.auth)
            .app_data(services.toll)
            .app_data(services.bulk)
            .app_data(services.readiness)
            .app_data(services.body_timeout)
            .app_data(services.large_bodies)
            .app_data(services.proxies)
            .app_data(services.https)
            .app_data(services.public_origin)
            .app_data(services.site_title)
            .app_data(services.model_settings)
            .app_data(services.user_limits)
            .configure(api::routes)
            .configure(pages::routes)
            .configure(admin::routes)
            .default_service(web::to(api::not_found));
    }
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
    let stopper = actix_web::rt::spawn(stop_on_signal(server.handle(), services.clone())?);
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

/// Waits for SIGTERM or SIGINT, then: readiness off, no new connections, requests and holds finish.
fn stop_on_signal(server: ServerHandle, services: Services) -> io::Result<impl Future<Output = ()>> {
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

/// What pages of other origins may send: the contract's headers, and those that OpenAI's own library adds to each request.
const ALLOWED_HEADERS: [&str; 15] = [
    "Authorization",
    "Content-Type",
    "Accept",
    "Idempotency-Key",
    "OpenAI-Organization",
    "OpenAI-Project",
    "User-Agent",
    "X-Stainless-Arch",
    "X-Stainless-Lang",
    "X-Stainless-OS",
    "X-Stainless-Package-Version",
    "X-Stainless-Retry-Count",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Timeout",
];

/// What browsers of other origins may do: nothing, unless the settings name them. No cookies, ever.
pub fn cors(origins: &[String]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allowed_headers(ALLOWED_HEADERS)
        .expose_headers([
            "X-Tokens-Charged",
            "X-Tokens-Remaining",
            "X-Chat-Id",
            "X-Request-Id",
            "Idempotency-Replayed",
            "Retry-After",
            "X-Should-Retry",
            "X-Chat-State",
            "X-RateLimit-Limit-Requests",
            "X-RateLimit-Remaining-Requests",
            "X-RateLimit-Reset-Requests",
        ])
        .max_age(3600);
    let origins: Vec<&str> = origins.iter().map(String::as_str).filter(|origin| !origin.is_empty()).collect();
    let cors = if origins.contains(&"*") {
        cors.send_wildcard().allow_any_origin()
    } else {
        origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
    };
    Condition::new(!origins.is_empty(), cors)
}
