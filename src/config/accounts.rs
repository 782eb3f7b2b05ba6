//! The settings of accounts: passwords, log-ins, sessions.

use clap::{Args, ValueEnum};

/// The cost of new password hashes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Accounts")]
pub struct PasswordHashing {
    /// Cost of bcrypt for new password hashes: each step doubles the work
    #[arg(global = true, long, env = "TOLLGATE_BCRYPT_COST", value_name = "COST", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(4..=16))]
    pub bcrypt_cost: u32,
}

/// Settings of passwords, log-ins and sessions.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Accounts")]
pub struct Accounts {
    /// How passwords are hashed.
    #[command(flatten)]
    pub hashing: PasswordHashing,
    /// Throttles on log-in, registration and sign-in; off switches every throttle and rate limit
    /// off
    #[arg(global = true, long, env = "TOLLGATE_THROTTLE", value_name = "SWITCH", default_value = "on")]
    pub throttle: Switch,
    /// Whether anybody may register over the API
    #[arg(global = true, long, env = "TOLLGATE_REGISTRATION", value_name = "MODE", default_value = "open")]
    pub registration: Registration,
    /// Whether a failed log-in says which was wrong, the name or the password (as the old services
    /// did)
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
    /// Days without use after which a login's auth token ends; 0: never
    #[arg(global = true, long, env = "TOLLGATE_AUTH_TOKEN_IDLE_DAYS", value_name = "DAYS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub auth_token_idle_days: u32,
    /// Minutes after which an unused session of the panel ends
    #[arg(global = true, long, env = "TOLLGATE_SESSION_IDLE_MINUTES", value_name = "MINUTES", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub session_idle_minutes: u32,
    /// Hours after which a session of the panel ends, used or not
    #[arg(global = true, long, env = "TOLLGATE_SESSION_HOURS", value_name = "HOURS", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub session_hours: u32,
    /// Days after which the history of administrators' actions is deleted; 0: never
    #[arg(global = true, long, env = "TOLLGATE_HISTORY_DAYS", value_name = "DAYS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub history_days: u32,
}

/// A setting that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the variants' doc comments would show in --help")]
pub enum Switch {
    On,
    Off,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the variants' doc comments would show in --help")]
pub enum Registration {
    Open,
    Closed,
}

/// What the error of a failed log-in says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoginErrors {
    /// `Invalid username` or `Invalid password`
    Distinct,
    /// `Invalid username or password` for both
    Unified,
}
