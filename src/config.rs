//! Every setting once: flag, variable, default, unit. `tollgate --help` prints this file's texts.

mod upstream;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use upstream::{Limits, UpstreamArgs};
use values::{cors_origin, log_filter, public_url, site_title};

use crate::client_address::TrustedProxies;
use crate::db::{DatabaseUrl, DbOptions};
use crate::metering::Prices;
use crate::responder::{Dummy, Responder};

/// All settings. They may stand before or after a command.
#[derive(Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub metering: Metering,
    #[command(flatten)]
    pub accounts: Accounts,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub answers: Answers,
    #[command(flatten)]
    pub upstream: UpstreamArgs,
    /// What is logged to standard error: a level (error, warn, info, debug, trace), or env_logger's filter syntax
    #[arg(global = true, long, env = "TOLLGATE_LOG", value_name = "FILTER", default_value = "info",
          value_parser = log_filter)]
    pub log: String,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Serving")]
pub struct Listen {
    /// Address and port to listen on
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8000"
    )]
    pub bind: SocketAddr,
    /// The address that clients use, when it is not --bind (behind a proxy); https:// turns on Secure cookies and HSTS
    #[arg(global = true, long, env = "TOLLGATE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<url::Url>,
    /// Proxies whose X-Forwarded-For is believed: addresses and networks, comma-separated [default: none]
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_TRUSTED_PROXIES",
        value_name = "LIST",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: TrustedProxies,
    /// Origins whose pages may call the API from a browser, comma-separated, or * for all [default: none]
    #[arg(global = true, long, env = "TOLLGATE_CORS_ORIGINS", value_name = "LIST", value_delimiter = ',',
          value_parser = cors_origin)]
    pub cors_origins: Vec<String>,
    /// Threads that answer requests [default: one a core]
    #[arg(global = true, long, env = "TOLLGATE_WORKERS", value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Connections that may be open at once; further ones wait to be accepted
    #[arg(global = true, long, env = "TOLLGATE_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 8192,
          value_parser = clap::value_parser!(u32).range(2..))]
    pub max_connections: u32,
    /// Seconds that a request's head may take to arrive
    #[arg(global = true, long, env = "TOLLGATE_HEAD_TIMEOUT", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub head_timeout: u64,
    /// Seconds that a request's body may take to arrive
    #[arg(global = true, long, env = "TOLLGATE_BODY_TIMEOUT", value_name = "SECONDS", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub body_timeout: u64,
    /// What the panel is called, in its header and in the titles of its pages
    #[arg(global = true, long, env = "TOLLGATE_SITE_TITLE", value_name = "TEXT", default_value = "Tollgate",
          value_parser = site_title)]
    pub site_title: String,
    /// Free disk space, in MiB, below which the log warns
    #[arg(global = true, long, env = "TOLLGATE_MIN_FREE_DISK", value_name = "MIB", default_value_t = 512)]
    pub min_free_disk: u64,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// A file for SQLite (a path, or sqlite://PATH), or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        global = true,
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "tollgate.db"
    )]
    pub database_url: DatabaseUrl,
    /// Connections that only read, each with a thread [default: SQLite: one a core; PostgreSQL: 8]
    #[arg(global = true, long, env = "TOLLGATE_READ_CONNECTIONS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub read_connections: Option<u32>,
    /// Connections that write, on PostgreSQL (SQLite has one)
    #[arg(global = true, long, env = "TOLLGATE_PG_WRITERS", value_name = "COUNT", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub pg_writers: u16,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metering")]
pub struct Metering {
    /// Tokens that a new user gets
    #[arg(global = true, long, env = "TOLLGATE_OPENING_TOKENS", value_name = "TOKENS", default_value_t = 4000,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000_000))]
    pub opening_tokens: i64,
    /// Tokens that a chat message costs
    #[arg(global = true, long, env = "TOLLGATE_CHAT_PRICE", value_name = "TOKENS", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000))]
    pub chat_price: i64,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Accounts")]
pub struct Accounts {
    /// Cost of bcrypt for new password hashes: each step doubles the work
    #[arg(global = true, long, env = "TOLLGATE_BCRYPT_COST", value_name = "COST", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(4..=16))]
    pub bcrypt_cost: u32,
    /// Throttles on log-in, registration and sign-in; off switches every throttle and rate limit off
    #[arg(global = true, long, env = "TOLLGATE_THROTTLE", value_name = "SWITCH", default_value = "on")]
    pub throttle: Switch,
    /// Whether anybody may register over the API
    #[arg(global = true, long, env = "TOLLGATE_REGISTRATION", value_name = "MODE", default_value = "open")]
    pub registration: Registration,
    /// Whether a failed log-in says which of name and password was wrong (as the old services did)
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_LOGIN_ERRORS",
        value_name = "MODE",
        default_value = "distinct"
    )]
    pub login_errors: LoginErrors,
    /// Days after which a login's auth token expires; 0: never
    #[arg(global = true, long, env = "TOLLGATE_AUTH_TOKEN_DAYS", value_name = "DAYS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub auth_token_days: u32,
    /// Minutes after which a session of the panel ends that is not used
    #[arg(global = true, long, env = "TOLLGATE_SESSION_IDLE_MINUTES", value_name = "MINUTES", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub session_idle_minutes: u32,
    /// Hours after which a session of the panel ends, used or not
    #[arg(global = true, long, env = "TOLLGATE_SESSION_HOURS", value_name = "HOURS", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub session_hours: u32,
    /// Days after which the history of what administrators did is forgotten; 0: never
    #[arg(global = true, long, env = "TOLLGATE_HISTORY_DAYS", value_name = "DAYS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub history_days: u32,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Answers")]
pub struct Answers {
    /// What answers messages
    #[arg(global = true, long, env = "TOLLGATE_RESPONDER", value_name = "NAME", default_value = "dummy")]
    pub responder: ResponderName,
    /// Milliseconds that the dummy takes to answer
    #[arg(global = true, long, env = "TOLLGATE_DUMMY_DELAY", value_name = "MILLISECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub dummy_delay: u64,
    /// How many of 100 messages the dummy fails to answer, at random
    #[arg(global = true, long, env = "TOLLGATE_DUMMY_FAILURES", value_name = "PERCENT", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    pub dummy_failures: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoginErrors {
    /// `Invalid username` or `Invalid password`
    Distinct,
    /// `Invalid username or password` for both
    Unified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResponderName {
    /// `Response to <message>`
    Dummy,
    /// An LLM behind any server that speaks the OpenAI protocol
    Openai,
}

impl Config {
    pub fn db_options(&self) -> DbOptions {
        DbOptions {
            url: self.database.database_url.clone(),
            read_connections: self
                .database
                .read_connections
                .unwrap_or_else(|| self.default_read_connections()),
            pg_writers: usize::from(self.database.pg_writers),
        }
    }

    /// Reading SQLite takes a core, not a wait for another machine: more threads than cores only get in each
    /// other's way.
    fn default_read_connections(&self) -> u32 {
        if self.database.database_url.is_postgres() {
            return 8;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        u32::try_from(cores.max(2)).unwrap_or(2)
    }

    pub fn prices(&self) -> Prices {
        Prices { chat: self.metering.chat_price, concurrent_chats: self.limits.concurrent_chats }
    }

    /// What answers messages.
    ///
    /// # Errors
    /// What the settings of an upstream lack.
    pub fn responder(&self) -> Result<Responder, String> {
        Ok(match self.answers.responder {
            ResponderName::Dummy => Responder::Dummy(Dummy {
                delay: Duration::from_millis(self.answers.dummy_delay),
                failures_percent: self.answers.dummy_failures,
            }),
            ResponderName::Openai => Responder::Upstream(self.upstream.offer()?),
        })
    }

    /// The folder whose file system fills up with an SQLite database.
    pub fn data_folder(&self) -> Option<PathBuf> {
        match &self.database.database_url {
            DatabaseUrl::Sqlite(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some(parent.map_or_else(|| PathBuf::from("."), PathBuf::from))
            }
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// The origin of `--public-url`, as browsers send it.
    pub fn public_origin(&self) -> Option<String> {
        self.listen.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    pub fn is_https(&self) -> bool {
        self.listen.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}
