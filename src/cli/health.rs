//! `tollgate health`: asks the server on this machine whether it works, for container engines and
//! scripts.

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode, redirect};
use serde_json::json;

use super::output::{print_json, print_line, seconds};
use super::{Refusal, block_on};
use crate::config::{ListenAddress, TlsFiles};
use crate::error::root_cause;

/// The most bytes of an answer that are read. The server's own are much shorter.
const MOST_BYTES: usize = 4096;

const AFTER_HELP: &str = "\
It asks over --bind, in the same way as the server listens. Exit codes: 0 if the server answers
that it is well, 1 if not, 2 if a setting is wrong.";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Ask whether the server can serve requests now (GET /readyz), not only whether it is alive
    /// (GET /healthz)
    #[arg(long)]
    ready: bool,
    /// Seconds that the server may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    address: ListenAddress,
    #[command(flatten)]
    tls: TlsFiles,
}

pub(super) fn run(args: &Args) -> Result<(), Refusal> {
    let url = url(args)?;
    let started = Instant::now();
    let (status, body) = block_on(ask(&url, Duration::from_secs(args.timeout)))?;
    if status != StatusCode::OK {
        return Err(format!("{url} answers with status {}: {}", status.as_u16(), body.trim()));
    }
    match args.json {
        true => print_json(&json!({ "ok": true, "url": url, "seconds": seconds(started.elapsed()) })),
        false => {
            print_line(format_args!("{}", if args.ready { "ready" } else { "alive" }))?;
            Ok(())
        }
    }
}

/// Returns the address that is asked.
fn url(args: &Args) -> Result<String, Refusal> {
    let address = args.address.from_this_machine();
    if address.port() == 0 {
        return Err("--bind has port 0, so the server's port is not known: give --bind the port on which \
                    the server listens"
            .to_owned());
    }
    let scheme = if args.tls.is_on() { "https" } else { "http" };
    let path = if args.ready { "readyz" } else { "healthz" };
    Ok(format!("{scheme}://{address}/{path}"))
}

/// Sends the request. Returns the status and the beginning of the body.
async fn ask(url: &str, patience: Duration) -> Result<(StatusCode, String), Refusal> {
    // An error means that a provider is already installed, which is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .timeout(patience)
        .redirect(redirect::Policy::none())
        .no_proxy()
        // The certificate is for the name that clients use, not for this address. The request has
        // no secret, and the answer decides nothing but the exit code.
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(|error| root_cause(&error))?;
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => format!("{url} does not answer within {} s", patience.as_secs()),
        false => {
            format!("{url} cannot be reached: {}: check --bind, and that the server runs", root_cause(&error))
        }
    };
    let mut response = client.get(url).send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&part);
        if body.len() > MOST_BYTES {
            body.truncate(MOST_BYTES);
            break;
        }
    }
    Ok((response.status(), String::from_utf8_lossy(&body).into_owned()))
}
