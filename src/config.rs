//! All settings: flag, variable, default, unit. `tollgate --help` prints this file's texts.

mod accounts;
mod database;
mod listen;
mod upstream;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use accounts::{Accounts, LoginErrors, Registration, Switch};
pub use database::Database;
pub use listen::Listen;
pub use upstream::{Limits, UpstreamArgs};
use values::{log_filter, top_up};

use crate::chat::Prices;
use crate::db::{DatabaseUrl, DbOptions, HANGS_AFTER};
use crate::responder::{Dummy, Responder};
use crate::throttle::MemoryBudget;

/// All settings. They may stand before or after a command.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Settings of the HTTP server.
    #[command(flatten)]
    pub listen: Listen,
    /// Settings of the database.
    #[command(flatten)]
    pub database: Database,
    /// Settings of balances and prices.
    #[command(flatten)]
    pub metering: Metering,
    /// Settings of accounts.
    #[command(flatten)]
    pub accounts: Accounts,
    /// Limits of a user.
    #[command(flatten)]
    pub limits: Limits,
    /// Settings of what answers messages.
    #[command(flatten)]
    pub answers: Answers,
    /// Settings of an upstream.
    #[command(flatten)]
    pub upstream: UpstreamArgs,
    /// What is logged to standard error: a level (error, warn, info, debug, trace), or env_logger's
    /// filter syntax
    #[arg(global = true, long, env = "TOLLGATE_LOG", value_name = "FILTER", default_value = "info",
          value_parser = log_filter)]
    pub log: String,
}

/// The opening balance and the price of a chat.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metering")]
pub struct Metering {
    /// Tokens that a new user gets
    #[arg(global = true, long, env = "TOLLGATE_OPENING_TOKENS", value_name = "TOKENS", default_value_t = 4000,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000_000))]
    pub opening_tokens: i64,
    /// Tokens above which the panel asks for the amount of a grant twice; 0: never [default: 100
    /// times --opening-tokens]
    #[arg(global = true, long, env = "TOLLGATE_LARGE_GRANT", value_name = "TOKENS",
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000_000))]
    pub large_grant: Option<i64>,
    /// Tokens that a chat message costs
    #[arg(global = true, long, env = "TOLLGATE_CHAT_PRICE", value_name = "TOKENS", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000))]
    pub chat_price: i64,
    /// Text or link that tells people how to get more tokens, shown when a balance is too low
    /// [default: none]
    #[arg(global = true, long, env = "TOLLGATE_TOP_UP", value_name = "TEXT", value_parser = top_up)]
    pub top_up: Option<String>,
}

/// The source of answers.
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
    /// Whether responses are stored for clients that ask for it; off: POST /v1/responses stores
    /// only the chat
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_STORE_RESPONSES",
        value_name = "SWITCH",
        default_value = "on"
    )]
    pub store_responses: Switch,
    /// Days after which stored responses are deleted; 0: never
    #[arg(global = true, long, env = "TOLLGATE_RESPONSES_DAYS", value_name = "DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub responses_days: u32,
    /// The most stored responses of one user, in MiB; the oldest are deleted first
    #[arg(global = true, long, env = "TOLLGATE_RESPONSES_MIB", value_name = "MIB", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(8..=1_048_576))]
    pub responses_mib: u32,
}

/// The sources of answers that can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResponderName {
    /// `Response to <message>`
    Dummy,
    /// An LLM behind any server that speaks the OpenAI protocol
    Openai,
}

impl Config {
    /// Returns the options for opening the database.
    pub fn db_options(&self) -> DbOptions {
        DbOptions {
            url: self.database.database_url.clone(),
            read_connections: self
                .database
                .read_connections
                .unwrap_or_else(|| self.default_read_connections()),
            pg_writers: self.database.pg_writers.map(usize::from),
            hangs_after: HANGS_AFTER,
        }
    }

    /// Returns the number of read connections if it is not set. Reading SQLite keeps a core busy,
    /// so more threads than cores would not help. Reading PostgreSQL mostly waits for the server.
    fn default_read_connections(&self) -> u32 {
        if self.database.database_url.is_postgres() {
            return 8;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        u32::try_from(cores.max(2)).unwrap_or(2)
    }

    /// Returns the tokens above which a grant is large. 0 means that none is.
    pub fn large_grant(&self) -> i64 {
        let default = || self.metering.opening_tokens.saturating_mul(100);
        self.metering.large_grant.unwrap_or_else(default)
    }

    /// Returns the price of a chat, and the limits on concurrent chats.
    pub fn prices(&self) -> Prices {
        Prices {
            chat: self.metering.chat_price,
            concurrent_chats: self.limits.concurrent_chats,
            slots: self.upstream.slot_bounds(),
            stores_responses: self.answers.store_responses == Switch::On,
            stored_bytes: i64::from(self.answers.responses_mib) << 20,
            top_up: self.metering.top_up.as_deref().map(Into::into),
        }
    }

    /// Makes the configured responder. `memory` is for large answers.
    ///
    /// # Errors
    /// A text that says which setting of the upstream is missing or wrong.
    pub fn responder(&self, memory: MemoryBudget) -> Result<Responder, String> {
        Ok(match self.answers.responder {
            ResponderName::Dummy => Responder::Dummy(Dummy {
                delay: Duration::from_millis(self.answers.dummy_delay),
                failures_percent: self.answers.dummy_failures,
            }),
            ResponderName::Openai => Responder::Upstream(self.upstream.catalogue(memory)?),
        })
    }

    /// Returns the folder of an SQLite database, to watch its free disk space. `None` for
    /// PostgreSQL.
    pub fn data_folder(&self) -> Option<PathBuf> {
        match &self.database.database_url {
            DatabaseUrl::Sqlite(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some(parent.map_or_else(|| PathBuf::from("."), PathBuf::from))
            }
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Returns the origin of `--public-url`, as browsers send it.
    pub fn public_origin(&self) -> Option<String> {
        self.listen.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    /// Returns the value of `Strict-Transport-Security`: one year. `None` unless clients use https.
    pub fn strict_transport(&self) -> Option<&'static str> {
        let value = match self.listen.hsts_include_subdomains {
            Switch::On => "max-age=31536000; includeSubDomains",
            Switch::Off => "max-age=31536000",
        };
        self.is_https().then_some(value)
    }

    /// Returns whether clients use https.
    pub fn is_https(&self) -> bool {
        self.listen.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}
