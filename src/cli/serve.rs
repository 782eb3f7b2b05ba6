//! `tollgate serve`, and `tollgate` alone.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::reload::Reload;
use super::service_manager::announce_ready;
use super::{Refusal, explain, migrated};
use crate::client_address::TrustedProxies;
use crate::clock;
use crate::config::{Config, Hsts, Settings, Switch};
use crate::db::{Db, ServeLock};
use crate::domain::SessionSecret;
use crate::logging::{LogFormat, follow_signals};
use crate::models::User;
use crate::server::{self, ServeError, Services};
use crate::tls::Tls;

/// A lower cost of bcrypt is too weak for the passwords of people.
pub(super) const LEAST_BCRYPT_COST: u32 = 10;

/// Returns the number of threads that pass on answers of upstreams: half of the cores, because
/// requests and the database need the rest. With more threads, calls move between them more often,
/// which is slower.
fn background_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1)
}

pub(super) fn run(config: &Config, settings: Settings) -> Result<(), Refusal> {
    run_and_announce(config, settings, |_| {})
}

/// Serves, and calls `announce` with the address once connections are accepted and stop signals are
/// handled.
pub(super) fn run_and_announce(
    config: &Config,
    settings: Settings,
    announce: impl FnOnce(SocketAddr),
) -> Result<(), Refusal> {
    let lock = ServeLock::take(config.database.url()).map_err(|error| error.to_string())?;
    raise_open_files_limit(config);
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
    follow_log_signals(&background)?;
    let services = Services::new(config, db.clone(), background.handle().clone())?;
    warn_of_tls(config, services.tls());
    let key = if has_superuser { None } else { Some(services.auth.first_run.make_key().map_err(explain)?) };
    let listening = |address: SocketAddr| {
        if let Some(key) = key {
            print_first_run_link(config, address, &key);
        }
        announce(address);
        announce_ready();
    };
    let readiness = services.readiness.clone();
    let mut reload = Reload::new(config.clone(), settings);
    let reload = move |services: &Services| reload.run(services);
    let served = actix_web::rt::System::new().block_on(server::serve(config, services, listening, reload));
    background.shutdown_background();
    let closed = db.close(close_until(readiness.finishing_since()));
    drop(db);
    drop(lock);
    served.map_err(|error| cannot_serve(config.listen.address.bind, &error))?;
    closed
}

/// Lets signals change the level of the log, as long as the runtime runs.
fn follow_log_signals(runtime: &Runtime) -> Result<(), Refusal> {
    let _inside = runtime.enter();
    let followed = follow_signals().map_err(|error| format!("cannot handle signals: {error}"))?;
    runtime.spawn(followed);
    Ok(())
}

/// Says why the server cannot listen on an address, and what to do.
pub(super) fn cannot_serve(bind: SocketAddr, error: &ServeError) -> Refusal {
    let (setting, address, error) = match error {
        ServeError::Clients(error) => ("--bind", bind, error),
        ServeError::Metrics(address, error) => ("--metrics-bind", *address, error),
    };
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program listens there: stop it, or choose another address with {setting}")
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine has no such address: give {setting} one of its own, or 0.0.0.0 or [::] for all of them"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "only root may listen on a port below 1024: choose another port with {setting}, and put a proxy in front, \
             or allow it (with systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
        ),
        _ => format!("check {setting}"),
    };
    format!("cannot serve on {address} ({setting}): {error}: {advice}")
}

/// Returns the deadline for closing the database: the process must exit within ten seconds of the
/// end of `--drain-delay`.
fn close_until(delay_over: Option<Instant>) -> Instant {
    let least = Instant::now() + Duration::from_millis(800);
    delay_over.map_or(least, |over| (over + Duration::from_millis(9_700)).max(least))
}

/// Warns the operator of risky settings. Returns whether there is a superuser.
fn warn(config: &Config, db: &Db) -> Result<bool, Refusal> {
    if config.accounts.hashing.bcrypt_cost < LEAST_BCRYPT_COST {
        log::warn!(
            "--bcrypt-cost {} is for tests: passwords are easily guessed",
            config.accounts.hashing.bcrypt_cost
        );
    }
    if db.url().is_postgres()
        && config.backup.backup_dir.as_ref().is_some_and(|dir| !dir.as_os_str().is_empty())
    {
        log::warn!(
            "--backup-dir has no effect on PostgreSQL: the panel's page Backups says what to use instead"
        );
    }
    db.read_blocking(|conn| Ok(User::any_superuser(conn)?)).map_err(explain)
}

/// Warns of a certificate that clients refuse, and of settings of HTTPS that have no effect.
fn warn_of_tls(config: &Config, tls: Option<&Tls>) {
    let public_url = config.listen.public_url.as_ref();
    let public_host = public_url.and_then(|url| url.host_str());
    let certificate = tls.into_iter().flat_map(|tls| tls.warnings(public_host, clock::now()));
    certificate.for_each(|warning| log::warn!("{warning}"));
    if tls.is_some() && !config.is_https() {
        log::warn!(
            "--public-url begins with http://, but with --tls-certificate the server speaks only https"
        );
    }
    let may_be_https = config.is_https()
        || public_url.is_none() && config.listen.trusted_proxies != TrustedProxies::default();
    if matches!(config.tls.hsts, Some(Hsts::Seconds(_))) && !may_be_https {
        log::warn!(
            "--hsts has no effect: set --tls-certificate, or a --public-url that begins with https://"
        );
    }
    let has_hsts = may_be_https && config.strict_transport().is_some();
    if config.listen.hsts_include_subdomains == Switch::On && !has_hsts {
        log::warn!("--hsts-include-subdomains has no effect: there is no HSTS; see --hsts");
    }
}

/// Returns the address that clients on this machine use, without a slash at its end.
pub(super) fn address_of(config: &Config, listening: SocketAddr) -> String {
    let scheme = if config.tls.files.is_on() { "https" } else { "http" };
    match &config.listen.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        // A browser cannot open `0.0.0.0` or `::`.
        None if listening.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}", listening.port()),
        None => format!("{scheme}://{listening}"),
    }
}

/// Prints the link for making the first superuser, once. It goes to standard error whatever the log
/// filter is, because it is meant for the person at the terminal; to standard output if standard
/// error is for programs. It is never part of a line of the log.
fn print_first_run_link(config: &Config, listening: SocketAddr, key: &SessionSecret) {
    let address = address_of(config, listening);
    log::info!("there is no superuser yet: make one with `tollgate createsuperuser`, or in a browser:");
    let link = format!("\n    {address}/admin/first-run/{}/\n", key.expose());
    match config.log_format {
        LogFormat::Text => eprintln!("{link}"),
        // Nobody may be reading it.
        LogFormat::Json => drop(writeln!(io::stdout(), "{link}")),
    }
}

/// Returns the open files that a server needs: one for each connection and each call to the
/// upstream, and some for the rest.
pub(super) fn open_files_wanted(config: &Config) -> u64 {
    u64::from(config.listen.max_connections) + u64::from(config.upstream.upstream_calls) + 256
}

/// Raises the limit on open files. The usual soft limit of 1024 is far below the limit on
/// connections.
fn raise_open_files_limit(config: &Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = open_files_wanted(config);
    let (connections, calls) = (config.listen.max_connections, config.upstream.upstream_calls);
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
