//! The settings of the HTTP server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;

use super::Switch;
use super::values::{
    cors_origin, environment_label, public_url, security_contact, site_notice, site_title, socket_address,
};
use crate::client_address::{Networks, TrustedProxies};

/// The address of the HTTP server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Serving")]
pub struct ListenAddress {
    /// Address and port to listen on
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8000",
        value_parser = socket_address
    )]
    pub bind: SocketAddr,
}

impl ListenAddress {
    /// Returns the address at which programs on this machine reach the server: a loopback address
    /// if it listens on all of them.
    pub fn from_this_machine(&self) -> SocketAddr {
        let ip = match self.bind.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.bind.port())
    }
}

/// Settings of the HTTP server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Serving")]
pub struct Listen {
    /// Where it listens.
    #[command(flatten)]
    pub address: ListenAddress,
    /// The address that clients use, when it is not --bind (behind a proxy); https:// turns on
    /// Secure cookies and HSTS
    #[arg(global = true, long, env = "TOLLGATE_PUBLIC_URL", hide_env_values = true, value_name = "URL",
          value_parser = public_url)]
    pub public_url: Option<url::Url>,
    /// Whether HSTS (see --hsts) also covers the subdomains of the host
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_HSTS_INCLUDE_SUBDOMAINS",
        value_name = "SWITCH",
        default_value = "off"
    )]
    pub hsts_include_subdomains: Switch,
    /// Trusted proxies, whose X-Forwarded-For is used: addresses and networks, comma-separated
    /// [default: none]
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_TRUSTED_PROXIES",
        value_name = "LIST",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: TrustedProxies,
    /// Origins whose pages may call the API from a browser, comma-separated, or * for all [default:
    /// none]
    #[arg(global = true, long, env = "TOLLGATE_CORS_ORIGINS", hide_env_values = true, value_name = "LIST",
          value_delimiter = ',', value_parser = cors_origin)]
    pub cors_origins: Vec<String>,
    /// Threads that answer requests [default: one per core]
    #[arg(global = true, long, env = "TOLLGATE_WORKERS", value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Connections that may be open at once; one more replaces an idle one, or gets 503 when all
    /// are busy
    #[arg(global = true, long, env = "TOLLGATE_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 8192,
          value_parser = clap::value_parser!(u32).range(2..))]
    pub max_connections: u32,
    /// Connections of one address (IPv6: one /64, and four times that for one /48); one more
    /// replaces an idle one, or gets 429 when all are busy
    #[arg(global = true, long, env = "TOLLGATE_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections_per_address: u32,
    /// Addresses and networks without a limit on their connections, comma-separated;
    /// --trusted-proxies have none either
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_UNLIMITED_ADDRESSES",
        value_name = "LIST",
        default_value = "127.0.0.0/8,::1"
    )]
    pub unlimited_addresses: Networks,
    /// MiB that large heads, bodies and responses may take together; beyond it, slow clients are
    /// disconnected, and large bodies wait, then get 503
    #[arg(global = true, long, env = "TOLLGATE_MEMORY_BUDGET", value_name = "MIB", default_value_t = 96,
          value_parser = clap::value_parser!(u64).range(16..=1_000_000))]
    pub memory_budget: u64,
    /// Seconds that a request's head may take to arrive, and a TLS handshake before it
    #[arg(global = true, long, env = "TOLLGATE_HEAD_TIMEOUT", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub head_timeout: u64,
    /// Seconds that a request's body may take to arrive, and 1 s more for each 64 KiB
    #[arg(global = true, long, env = "TOLLGATE_BODY_TIMEOUT", value_name = "SECONDS", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub body_timeout: u64,
    /// Seconds that a connection is kept for its next request
    #[arg(global = true, long, env = "TOLLGATE_KEEP_ALIVE_TIMEOUT", value_name = "SECONDS", default_value_t = 75,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keep_alive_timeout: u64,
    /// Seconds that a client may take to read any part of a response
    #[arg(global = true, long, env = "TOLLGATE_WRITE_TIMEOUT", value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub write_timeout: u64,
    /// Seconds between a stop signal and the end of listening: /readyz is off, and requests are
    /// still served
    #[arg(global = true, long, env = "TOLLGATE_DRAIN_DELAY", value_name = "SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub drain_delay: u64,
    /// Address and port for Prometheus metrics (GET /metrics), best one that only your monitoring
    /// reaches, such as 127.0.0.1:9464 [default: none]
    #[arg(global = true, long, env = "TOLLGATE_METRICS_BIND", value_name = "ADDRESS:PORT",
          value_parser = socket_address)]
    pub metrics_bind: Option<SocketAddr>,
    /// The name of the site, on the start page, in the panel's header and in the titles of pages
    #[arg(global = true, long, env = "TOLLGATE_SITE_TITLE", value_name = "TEXT", default_value = "Tollgate",
          value_parser = site_title)]
    pub site_title: String,
    /// A line on the start page, such as how to get an account and tokens [default: none]
    #[arg(global = true, long, env = "TOLLGATE_SITE_NOTICE", value_name = "TEXT", value_parser = site_notice)]
    pub site_notice: Option<String>,
    /// Where to report vulnerabilities, for /.well-known/security.txt: a mail address, or an https
    /// URL of a page or form [default: none]
    #[arg(global = true, long, env = "TOLLGATE_SECURITY_CONTACT", hide_env_values = true,
          value_name = "CONTACT", value_parser = security_contact)]
    pub security_contact: Option<String>,
    /// A label that tells this server from others, such as staging, in the panel's header and in
    /// the titles of its pages [default: none]
    #[arg(global = true, long, env = "TOLLGATE_ENVIRONMENT_LABEL", value_name = "TEXT",
          value_parser = environment_label)]
    pub environment_label: Option<String>,
    /// Free disk space, in MiB, below which the log and the panel warn
    #[arg(global = true, long, env = "TOLLGATE_MIN_FREE_DISK", value_name = "MIB", default_value_t = 512)]
    pub min_free_disk: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_over_loopback() {
        for (bind, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("192.0.2.7:443", "192.0.2.7:443"),
        ] {
            let address = ListenAddress { bind: bind.parse().unwrap() };
            assert_eq!(address.from_this_machine(), reached.parse().unwrap(), "{bind}");
        }
    }
}
