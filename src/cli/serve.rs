//! `tollgate serve`, and `tollgate` alone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::{Refusal, explain, migrated};
use crate::config::{Config, Switch};
use crate::db::{Db, ServeLock};
use crate::domain::SessionSecret;
use crate::models::User;
use crate::server::{self, Services};

/// A lower cost of bcrypt is too weak for the passwords of people.
const LEAST_BCRYPT_COST: u32 = 10;

/// Returns the number of threads that pass on answers of upstreams: half of the cores, because
/// requests and the database need the rest. With more threads, calls move between them more often,
/// which is slower.
fn background_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1)
}

pub(super) fn run(config: &Config) -> Result<(), Refusal> {
    let lock = ServeLock::take(&config.database.database_url).map_err(|error| error.to_string())?;
    raise_open_files_limit(config.listen.max_connections, config.upstream.upstream_calls);
    let db = migrated(Db::open_to_serve(&config.db_options(), &lock).map_err(explain)?)?;
    db.open_index();
    log::info!("tollgate {} with {}", env!("CARGO_PKG_VERSION"), db.url());
    let has_superuser = warn(config, &db)?;
    // Holds are settled on a runtime of their own, which continues after the server's workers have
    // ended.
    let background = Builder::new_multi_thread()
        .worker_threads(background_threads())
        .thread_name("background")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let services = Services::new(config, db.clone(), background.handle().clone())?;
    let key = if has_superuser { None } else { Some(services.auth.first_run.make_key().map_err(explain)?) };
    let listening = |address: SocketAddr| {
        if let Some(key) = key {
            print_first_run_link(config, address, &key);
        }
    };
    let readiness = services.readiness.clone();
    let served = actix_web::rt::System::new().block_on(server::serve(config, services, listening));
    background.shutdown_background();
    let closed = db.close(close_until(readiness.finishing_since()));
    drop(db);
    drop(lock);
    served.map_err(|error| format!("cannot serve on {}: {error}", config.listen.bind))?;
    closed
}

/// Returns the deadline for closing the database: the process must exit within ten seconds of the
/// end of `--drain-delay`.
fn close_until(delay_over: Option<Instant>) -> Instant {
    let least = Instant::now() + Duration::from_millis(800);
    delay_over.map_or(least, |over| (over + Duration::from_millis(9_700)).max(least))
}

/// Warns the operator of risky settings. Returns whether there is a superuser.
fn warn(config: &Config, db: &Db) -> Result<bool, Refusal> {
    if config.accounts.bcrypt_cost < LEAST_BCRYPT_COST {
        log::warn!(
            "--bcrypt-cost {} is for tests: passwords are easily guessed",
            config.accounts.bcrypt_cost
        );
    }
    if config.listen.hsts_include_subdomains == Switch::On && !config.is_https() {
        log::warn!("--hsts-include-subdomains has no effect: --public-url does not begin with https://");
    }
    db.read_blocking(|conn| Ok(User::any_superuser(conn)?)).map_err(explain)
}

/// Prints the link for making the first superuser, once. It goes to standard error whatever the log
/// filter is, because it is meant for the person at the terminal.
fn print_first_run_link(config: &Config, listening: SocketAddr, key: &SessionSecret) {
    let address = match &config.listen.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        // A browser cannot open `0.0.0.0` or `::`.
        None if listening.ip().is_unspecified() => format!("http://127.0.0.1:{}", listening.port()),
        None => format!("http://{listening}"),
    };
    log::info!("there is no superuser yet: make one with `tollgate createsuperuser`, or in a browser:");
    eprintln!("\n    {address}/admin/first-run/{}/\n", key.expose());
}

/// Raises the limit on open files. Each connection and each call to the upstream needs one, and the
/// usual soft limit of 1024 is far below the limit on connections.
fn raise_open_files_limit(connections: u32, calls: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::from(connections) + u64::from(calls) + 256;
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let set = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    if set.is_err() || raised < wanted {
        log::warn!(
            "--max-connections {connections} and --upstream-calls {calls} need {wanted} open files, and the limit is \
             {raised}: see ulimit -n"
        );
    }
}
