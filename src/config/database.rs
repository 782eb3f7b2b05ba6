//! The settings of the database.

use clap::Args;

use crate::db::DatabaseUrl;

/// Settings of the database.
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
