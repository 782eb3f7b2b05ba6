//! Checks of what is around the server: proxies, the public URL, the monitoring, the upstream.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::check::Check;
use super::machine::OtherClock;
use crate::client_address::TrustedProxies;
use crate::clock;
use crate::config::Config;
use crate::error::root_cause;
use crate::responder::{Responder, UpstreamCheck, http_date};
use crate::throttle::MemoryBudget;

/// How long the public URL may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server on this machine may take to accept a connection.
const SHORTLY: Duration = Duration::from_secs(1);
/// The header by which the server says what became of `X-Forwarded-For`.
const DOCTOR: &str = "x-tollgate-doctor";
/// An upstream that lists its models more slowly is slow in all.
const SLOW_UPSTREAM: Duration = Duration::from_secs(2);

/// What the public URL led to.
struct Visit {
    check: Check,
    /// What became of `X-Forwarded-For`, in the server's word. `None` if the server was not
    /// reached.
    forwarded: Option<String>,
    clock: Option<OtherClock>,
}

/// Returns the checks, and the clocks that were seen on the way.
pub(super) async fn check(config: &Config) -> (Vec<Check>, Vec<OtherClock>) {
    let visit = public_url(config).await;
    let proxies = proxies(config, visit.forwarded.as_deref());
    let (upstream, upstream_clock) = upstream(config).await;
    let clocks = visit.clock.into_iter().chain(upstream_clock).collect();
    (vec![proxies, visit.check, metrics(config), upstream], clocks)
}

fn proxies(config: &Config, forwarded: Option<&str>) -> Check {
    let trusted = config.listen.trusted_proxies.networks();
    // An address of each kind that is nobody's proxy.
    let strangers: [IpAddr; 2] =
        [Ipv4Addr::new(8, 8, 8, 8).into(), Ipv6Addr::new(0x2001, 0x4860, 0, 0, 0, 0, 0, 0x8888).into()];
    if strangers.into_iter().any(|stranger| trusted.contain(stranger)) {
        return Check::failure(
            "proxies",
            "--trusted-proxies contains the whole internet",
            "everybody can claim to have another address, and so has no limits: list only your proxies",
        );
    }
    let has_proxies = config.listen.trusted_proxies != TrustedProxies::default();
    match (forwarded, has_proxies) {
        (Some("ignored"), _) => Check::warning(
            "proxies",
            "the proxy in front of --public-url is not in --trusted-proxies",
            "all clients behind it share the limits of one address: add the proxy's address, which the server's log \
             names, to --trusted-proxies",
        ),
        (Some("absent"), true) => Check::warning(
            "proxies",
            "the way over --public-url adds no X-Forwarded-For",
            "let the proxy add the header (deploy/ has examples), or set --trusted-proxies to nothing",
        ),
        (Some("believed"), _) => Check::ok("proxies", "the one in front of --public-url is trusted"),
        (_, true) => Check::ok("proxies", "those that are trusted are listed one by one"),
        (_, false) => Check::ok("proxies", "none is trusted, so the peer is the client"),
    }
}

async fn public_url(config: &Config) -> Visit {
    let only = |check| Visit { check, forwarded: None, clock: None };
    let bind = config.listen.address.bind;
    let Some(url) = &config.listen.public_url else {
        return only(match bind.ip().is_loopback() {
            true => {
                Check::skipped("public URL", "--public-url is not set, and only this machine can connect")
            }
            false => Check::warning(
                "public URL",
                format!("--public-url is not set, and --bind is {bind}"),
                "set it to the address that clients use: links, cookies and the check of Origin depend on it",
            ),
        });
    };
    let began = clock::now();
    match visit(url).await {
        Ok((status, forwarded, date)) => {
            let ours = began.max(date.unwrap_or(began).min(clock::now()));
            let clock = date.map(|theirs| OtherClock { name: "the public URL", theirs, ours });
            Visit { check: answered(url, status, forwarded.is_some()), forwarded, clock }
        }
        Err(why) if !is_running(config) => only(Check::skipped(
            "public URL",
            format!(
                "{url} cannot be reached ({why}), and no server listens on {bind}: start it, and run doctor again"
            ),
        )),
        Err(why) => only(Check::failure(
            "public URL",
            format!("{url} cannot be reached: {why}"),
            format!(
                "a server listens on {bind}: see the name's DNS entry, the proxy, its certificate and the firewall"
            ),
        )),
    }
}

fn answered(url: &Url, status: StatusCode, is_ours: bool) -> Check {
    match (status.is_success(), is_ours) {
        (true, true) => Check::ok("public URL", format!("{url} leads to Tollgate")),
        (true, false) => Check::failure(
            "public URL",
            format!("{url} leads to another program, or to an older Tollgate"),
            "correct --public-url, or the proxy",
        ),
        (false, _) if status.is_redirection() => Check::warning(
            "public URL",
            format!("{url} redirects to another address"),
            "set --public-url to the address that clients end up at",
        ),
        (false, _) => Check::failure(
            "public URL",
            format!("{url} answers with status {}", status.as_u16()),
            "see the log of the proxy: it cannot reach the server, or refuses the request",
        ),
    }
}

/// Requests `/healthz` of the public URL. Returns the status, what became of `X-Forwarded-For`, and
/// the clock.
async fn visit(url: &Url) -> Result<(StatusCode, Option<String>, Option<chrono::NaiveDateTime>), String> {
    // An error means that a provider is already installed, which is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| root_cause(&error))?;
    let healthz = url.join("healthz").map_err(|error| error.to_string())?;
    let request = client.get(healthz).header(DOCTOR, "1");
    let response = request.send().await.map_err(|error| match error.is_timeout() {
        true => format!("there was no answer within {} s", PATIENCE.as_secs()),
        false => root_cause(&error),
    })?;
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let forwarded = text(DOCTOR).and_then(|text| text.strip_prefix("forwarded-for=")).map(str::to_owned);
    Ok((response.status(), forwarded, text("date").and_then(http_date)))
}

/// Returns whether something listens where the server should.
fn is_running(config: &Config) -> bool {
    TcpStream::connect_timeout(&config.listen.address.from_this_machine(), SHORTLY).is_ok()
}

/// Checks the address for metrics.
fn metrics(config: &Config) -> Check {
    let Some(bind) = config.listen.metrics_bind else {
        return Check::skipped("metrics", "--metrics-bind is not set");
    };
    let fails = |why: String| {
        let advice = "the server does not start: give --metrics-bind a free port of this machine";
        Check::failure("metrics", why, advice)
    };
    if bind.port() != 0 && bind == config.listen.address.bind {
        return fails(format!("{bind} is the address of --bind, too"));
    }
    match TcpListener::bind(bind) {
        // A server that runs has the address.
        Err(error) if error.kind() != ErrorKind::AddrInUse || !is_running(config) => {
            fails(format!("cannot listen on {bind}: {error}"))
        }
        _ if bind.ip().is_unspecified() => Check::warning(
            "metrics",
            format!("{bind} is open to everybody who reaches this machine"),
            "they have no password: give --metrics-bind an address that only your monitoring reaches",
        ),
        _ => Check::ok("metrics", format!("on http://{bind}/metrics")),
    }
}

async fn upstream(config: &Config) -> (Check, Option<OtherClock>) {
    let memory = MemoryBudget::new(config.listen.memory_budget * 1024 * 1024);
    let catalogue = match config.responder(memory) {
        Ok(Responder::Upstream(catalogue)) => catalogue,
        Ok(Responder::Dummy(_)) => return (Check::skipped("upstream", "the dummy answers"), None),
        Err(_) => return (Check::skipped("upstream", "its settings are not usable"), None),
    };
    let began = clock::now();
    let found = match catalogue.upstream.check(&catalogue.models).await {
        Ok(found) => found,
        Err(why) => {
            let advice = "start the upstream, or correct --upstream-url";
            return (Check::failure("upstream", format!("it cannot be reached: {why}"), advice), None);
        }
    };
    let ours = began.max(found.clock.unwrap_or(began).min(clock::now()));
    let clock = found.clock.map(|theirs| OtherClock { name: "the upstream", theirs, ours });
    (judge(&found), clock)
}

/// Says what the answer to a request for the list of models means.
fn judge(found: &UpstreamCheck) -> Check {
    let took = format!("{:.0} ms", found.took.as_secs_f64() * 1000.0);
    match found.status {
        401 | 403 => {
            return Check::failure(
                "upstream",
                format!("it rejects the key (status {})", found.status),
                "give another key: --upstream-key-file, or the variable TOLLGATE_UPSTREAM_KEY",
            );
        }
        404 | 405 | 501 => {
            return Check::warning(
                "upstream",
                format!("it answers in {took}, and has no list of models (status {})", found.status),
                "check that --upstream-url ends where its API begins; the key was not checked",
            );
        }
        200..=299 => {}
        status => {
            return Check::failure(
                "upstream",
                format!("it answers with status {status}"),
                "see the log of the upstream, and --upstream-url",
            );
        }
    }
    let unlisted = found.unlisted.clone().unwrap_or_default();
    if !unlisted.is_empty() {
        return Check::warning(
            "upstream",
            format!("it answers in {took}, and its list does not have {}", unlisted.join(", ")),
            "check the names in --upstream-models; some servers answer for models that they do not list",
        );
    }
    let key = match found.needs_key {
        Some(true) => ", and accepts the key",
        Some(false) => ", also without the key, which is not proven to be valid",
        None => "",
    };
    match found.took > SLOW_UPSTREAM {
        true => Check::warning(
            "upstream",
            format!("it answers in {took}{key}"),
            "even the list of models is slow: see the network and the load of the upstream",
        ),
        false => Check::ok("upstream", format!("it answers in {took}{key}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn found(status: u16) -> UpstreamCheck {
        UpstreamCheck {
            status,
            took: Duration::from_millis(3),
            clock: None,
            needs_key: None,
            unlisted: Some(Vec::new()),
        }
    }

    #[test]
    fn each_status_of_an_upstream_has_its_meaning() {
        for (status, state) in [
            (200, State::Ok),
            (401, State::Failure),
            (403, State::Failure),
            (404, State::Warning),
            (500, State::Failure),
            (302, State::Failure),
        ] {
            assert_eq!(judge(&found(status)).state, state, "{status}");
        }
        let unlisted = UpstreamCheck { unlisted: Some(vec!["m".to_owned()]), ..found(200) };
        assert_eq!(judge(&unlisted).state, State::Warning);
        let slow = UpstreamCheck { took: Duration::from_secs(3), ..found(200) };
        assert_eq!(judge(&slow).state, State::Warning);
        let unproven = judge(&UpstreamCheck { needs_key: Some(false), ..found(200) });
        assert!(unproven.to_string().contains("not proven"), "{unproven}");
    }

    #[test]
    fn the_public_url_must_lead_to_this_server() {
        let url = Url::parse("https://chat.example").unwrap();
        for (status, is_ours, state) in [
            (StatusCode::OK, true, State::Ok),
            (StatusCode::OK, false, State::Failure),
            (StatusCode::FOUND, false, State::Warning),
            (StatusCode::BAD_GATEWAY, false, State::Failure),
        ] {
            assert_eq!(answered(&url, status, is_ours).state, state, "{status}");
        }
    }
}
