//! The settings of the database.

use std::path::PathBuf;

use clap::Args;

use crate::db::{DatabaseUrl, DbOptions, HANGS_AFTER};

/// The address of the database.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseAddress {
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
    /// A file with the value of --database-url, for a URL with a password; give only one of the two
    /// [default: none]
    #[arg(global = true, long, env = "DATABASE_URL_FILE", hide_env_values = true, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
}

/// Settings of the database.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// Where the database is.
    #[command(flatten)]
    pub address: DatabaseAddress,
    /// Connections that only read, each with a thread [default: SQLite: one per core; PostgreSQL:
    /// 8]
    #[arg(global = true, long, env = "TOLLGATE_READ_CONNECTIONS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub read_connections: Option<u32>,
    /// Connections that write, on PostgreSQL (SQLite has one) [default: by the time of a commit]
    #[arg(global = true, long, env = "TOLLGATE_PG_WRITERS", value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub pg_writers: Option<u16>,
}

impl Database {
    /// Returns the address of the database.
    pub fn url(&self) -> &DatabaseUrl {
        &self.address.database_url
    }

    /// Returns the options for opening the database.
    pub fn options(&self) -> DbOptions {
        DbOptions {
            url: self.url().clone(),
            read_connections: self.read_connections.unwrap_or_else(|| self.default_read_connections()),
            pg_writers: self.pg_writers.map(usize::from),
            hangs_after: HANGS_AFTER,
        }
    }

    /// Returns the number of read connections if it is not set. Reading SQLite keeps a core busy,
    /// so more threads than cores would not help. Reading PostgreSQL mostly waits for the server.
    fn default_read_connections(&self) -> u32 {
        if self.url().is_postgres() {
            return 8;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        u32::try_from(cores.max(2)).unwrap_or(2)
    }
}
