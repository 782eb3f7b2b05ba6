//! All settings: flag, variable, default, unit. `tollgate --help` prints this file's texts.

mod accounts;
mod backup;
mod database;
mod file;
mod listen;
mod refusal;
mod reload;
mod secret;
mod settings;
mod tls;
mod upstream;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use accounts::{Accounts, LoginErrors, PasswordHashing, Registration, Switch};
pub use backup::BackupArgs;
pub use database::{Database, DatabaseAddress};
pub use file::{FileSetting, SettingsFile, UPSTREAM_KEY};
pub use listen::{Listen, ListenAddress};
pub use refusal::{NOT_SHOWN, advice, check, may_hold_secret, quoted};
pub use reload::{after_reload, is_reloaded};
pub use secret::{SecretText, read_secret};
pub use settings::{Given, Origin, Setting, Settings, is_path};
pub use tls::{Hsts, TlsArgs, TlsFiles};
pub use upstream::{Limits, UpstreamArgs};
use values::{log_filter, top_up};

use crate::backup::BackupSettings;
use crate::chat::Prices;
use crate::db::{DatabaseUrl, DbOptions};
use crate::logging::LogFormat;
use crate::responder::{Dummy, Responder};
use crate::throttle::MemoryBudget;

/// The usual time of HSTS, in seconds.
const YEAR: u32 = 31_536_000;

/// All settings. They may stand before or after a command.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Settings of the HTTP server.
    #[command(flatten)]
    pub listen: Listen,
    /// Settings of TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Settings of the database.
    #[command(flatten)]
    pub database: Database,
    /// Settings of scheduled backups.
    #[command(flatten)]
    pub backup: BackupArgs,
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
    /// A file with settings in TOML; flags and variables come before it [default: none]
    #[arg(
        global = true,
        long = "config",
        env = "TOLLGATE_CONFIG",
        value_name = "FILE",
        help_heading = "General"
    )]
    pub config_file: Option<PathBuf>,
    /// What is logged to standard error: a level (error, warn, info, debug, trace), or env_logger's
    /// filter syntax
    #[arg(global = true, long, env = "TOLLGATE_LOG", value_name = "FILTER", default_value = "info",
          value_parser = log_filter, help_heading = "General")]
    pub log: String,
    /// The form of the log's lines
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "General"
    )]
    pub log_format: LogFormat,
}

/// The opening balance.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metering")]
pub struct OpeningBalance {
    /// Tokens that a new user gets
    #[arg(global = true, long, env = "TOLLGATE_OPENING_TOKENS", value_name = "TOKENS", default_value_t = 4000,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000_000))]
    pub opening_tokens: i64,
}

/// The opening balance and the price of a chat.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metering")]
pub struct Metering {
    /// What a new user gets.
    #[command(flatten)]
    pub opening: OpeningBalance,
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
        self.database.options()
    }

    /// Returns the tokens above which a grant is large. 0 means that none is.
    pub fn large_grant(&self) -> i64 {
        let default = || self.metering.opening.opening_tokens.saturating_mul(100);
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

    /// Makes the responder after a reload of the settings. `before` is the one that answers now: a
    /// reload does not exchange the dummy and an upstream for each other.
    ///
    /// # Errors
    /// As for [`Config::responder`].
    pub fn responder_after(&self, before: &Responder, memory: MemoryBudget) -> Result<Responder, String> {
        Ok(match before {
            Responder::Dummy(_) => before.clone(),
            Responder::Upstream(catalogue) => {
                Responder::Upstream(self.upstream.catalogue_after(catalogue, memory)?)
            }
        })
    }

    /// Returns the folder of an SQLite database, to watch its free disk space. `None` for
    /// PostgreSQL.
    pub fn data_folder(&self) -> Option<PathBuf> {
        match self.database.url() {
            DatabaseUrl::Sqlite(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some(parent.map_or_else(|| PathBuf::from("."), PathBuf::from))
            }
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Returns the settings of backups. `None` if they are off, or the database is PostgreSQL.
    pub fn backup_settings(&self) -> Option<BackupSettings> {
        let folder = self.backup.backup_dir.clone().filter(|folder| !folder.as_os_str().is_empty())?;
        self.database.url().sqlite_path()?;
        Some(BackupSettings {
            folder,
            every: Some(self.backup.backup_every).filter(|every| !every.is_zero()),
            keep: usize::try_from(self.backup.backup_keep).unwrap_or(usize::MAX),
            leaves_free: self.listen.min_free_disk.saturating_mul(1024 * 1024),
        })
    }

    /// Returns the origin of `--public-url`, as browsers send it.
    pub fn public_origin(&self) -> Option<String> {
        self.listen.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    /// Returns the value of `Strict-Transport-Security`, which is sent over https only. `None` if
    /// it is not sent.
    pub fn strict_transport(&self) -> Option<String> {
        let seconds = match self.tls.hsts {
            Some(Hsts::Off) => return None,
            Some(Hsts::Seconds(seconds)) => seconds,
            None if self.has_https_url() => YEAR,
            // Nobody has said that this host will have https from now on.
            None => return None,
        };
        let subdomains = match self.listen.hsts_include_subdomains {
            Switch::On => "; includeSubDomains",
            Switch::Off => "",
        };
        Some(format!("max-age={seconds}{subdomains}"))
    }

    /// Returns whether all clients use https: because the settings say so, or because the server
    /// speaks nothing else.
    pub fn is_https(&self) -> bool {
        match self.listen.public_url {
            Some(_) => self.has_https_url(),
            None => self.tls.files.is_on(),
        }
    }

    fn has_https_url(&self) -> bool {
        self.listen.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}
