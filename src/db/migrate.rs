//! Migrations, embedded in the binary and run at start.
//!
//! All missing ones run in one transaction under a lock (Diesel takes none), so that several nodes
//! may start at once, and a start that is killed leaves nothing half done. The table
//! `compatibility` has the oldest version that can work with the database: a migration that breaks
//! older versions raises it.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager};
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Purpose;
use super::{Db, DbConnection, OwnConnection, postgres};
use crate::error::Error;
use crate::schema::compatibility;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The key of the advisory lock, a number that no other program uses: "tollgate" in ASCII.
const POSTGRES_LOCK: i64 = 0x746f_6c6c_6761_7465;

/// How long a migration waits for a table on PostgreSQL. Everybody else who wants the table waits
/// behind it: a dump that takes hours must not stop the server for hours.
const LOCK_TIMEOUT: &str = "2s";
/// How often a migration is tried that does not get a table, and the pause in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_secs(1);

type Transactions = <DbConnection as Connection>::TransactionManager;
type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Why migrating failed, or the migrations could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database cannot be reached.
    #[error("{}", match .0 { Error::Unavailable(why) => why.clone(), error => error.to_string() })]
    Connect(Error),
    /// Only newer versions can work with the database.
    #[error(
        "this database needs tollgate {needed} or newer, and this is {here}: \
         start the newer binary, or restore the backup from before the upgrade"
    )]
    TooOld {
        /// The oldest version that can work with the database.
        needed: String,
        /// This version.
        here: &'static str,
    },
    /// A migration failed. Nothing was changed.
    #[error("migrating the database failed, and nothing was changed: {0}")]
    Failed(AnyError),
}

/// A migration and whether the database has it.
#[derive(Debug)]
pub struct MigrationState {
    /// The migration's version and title.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

impl Db {
    /// Applies the missing migrations, which may take long. Blocks the thread. Several nodes may do
    /// it at once. Returns the names of the applied ones.
    pub fn migrate(&self) -> Result<Vec<String>, MigrationError> {
        // Nearly every start finds nothing to do, and should not wait for a lock that a busy server
        // holds.
        if self.migration_state()?.iter().all(|migration| migration.applied) {
            return Ok(Vec::new());
        }
        patiently(|| up(&mut *self.migrator()?))
    }

    /// Reverts the newest migration. Blocks the thread. Returns its name, or `None` if there is
    /// none left.
    pub fn migrate_down(&self) -> Result<Option<String>, MigrationError> {
        patiently(|| down(&mut *self.migrator()?))
    }

    /// Returns which migrations are applied. Blocks the thread.
    pub fn migration_state(&self) -> Result<Vec<MigrationState>, MigrationError> {
        let db = self.clone();
        let state = move || state(&mut *db.migrator()?);
        if !self.url().is_postgres() {
            return state();
        }
        postgres::in_time(state).map_err(|why| MigrationError::Connect(Error::Unavailable(why)))?
    }

    fn migrator(&self) -> Result<OwnConnection, MigrationError> {
        self.own_connection(Purpose::Migrate).map_err(MigrationError::Connect)
    }
}

/// Tries again while other transactions use the tables.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, MigrationError>) -> Result<T, MigrationError> {
    for _ in 1..TRIES {
        match attempt() {
            Err(MigrationError::Failed(error)) if error.to_string().contains("due to lock timeout") => {
                log::info!("the migration waits for a transaction that uses its tables");
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
    attempt()
}

/// Applies the missing migrations. Returns their names.
fn up(conn: &mut DbConnection) -> Result<Vec<String>, MigrationError> {
    locked(conn, |conn| {
        check_compatibility(conn)?;
        let applied = match conn {
            DbConnection::Postgres(conn) => run_pending(conn, POSTGRES),
            DbConnection::Sqlite(conn) => run_pending(conn, SQLITE),
        };
        applied.map_err(MigrationError::Failed)
    })
}

/// Reverts the newest migration.
fn down(conn: &mut DbConnection) -> Result<Option<String>, MigrationError> {
    locked(conn, |conn| {
        check_compatibility(conn)?;
        let reverted = match conn {
            DbConnection::Postgres(conn) => revert_last(conn, POSTGRES),
            DbConnection::Sqlite(conn) => revert_last(conn, SQLITE),
        };
        reverted.map_err(MigrationError::Failed)
    })
}

fn state(conn: &mut DbConnection) -> Result<Vec<MigrationState>, MigrationError> {
    check_compatibility(conn)?;
    let recorded = has_table(conn, "__diesel_schema_migrations")?;
    let states = match conn {
        DbConnection::Postgres(conn) => states(conn, POSTGRES, recorded),
        DbConnection::Sqlite(conn) => states(conn, SQLITE, recorded),
    };
    states.map_err(MigrationError::Failed)
}

/// Runs `body` in a transaction that only one process at a time can be in.
fn locked<T>(
    conn: &mut DbConnection,
    body: impl FnOnce(&mut DbConnection) -> Result<T, MigrationError>,
) -> Result<T, MigrationError> {
    let failed = |error: diesel::result::Error| MigrationError::Failed(error.into());
    match conn {
        DbConnection::Sqlite(conn) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE").map_err(failed)?;
        }
        DbConnection::Postgres(_) => {
            Transactions::begin_transaction(conn).map_err(failed)?;
            conn.batch_execute(&format!(
                "SELECT pg_advisory_xact_lock({POSTGRES_LOCK}); SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"
            ))
            .map_err(failed)?;
        }
    }
    match body(conn) {
        Ok(value) => {
            Transactions::commit_transaction(conn).map_err(failed)?;
            Ok(value)
        }
        Err(error) => {
            // The caller drops the connection, so a failed ROLLBACK has no effect.
            let _ = Transactions::rollback_transaction(conn);
            Err(error)
        }
    }
}

fn run_pending<C: MigrationHarness<DB>, DB: diesel::backend::Backend>(
    conn: &mut C,
    source: EmbeddedMigrations,
) -> Result<Vec<String>, AnyError> {
    let pending = conn.pending_migrations(source)?;
    conn.run_migrations(&pending)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn revert_last<C: MigrationHarness<DB>, DB: diesel::backend::Backend>(
    conn: &mut C,
    source: EmbeddedMigrations,
) -> Result<Option<String>, AnyError> {
    // The newest comes first.
    let Some(newest) = conn.applied_migrations()?.into_iter().next() else { return Ok(None) };
    let migrations: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    let migration = migrations.iter().find(|migration| migration.name().version().as_owned() == newest);
    let migration = migration.ok_or_else(|| format!("this binary does not know migration {newest}"))?;
    conn.revert_migration(migration)?;
    Ok(Some(migration.name().to_string()))
}

/// Returns the state of each migration. `recorded`: the table with the applied ones exists. Diesel
/// would create it only to read it.
fn states<C: MigrationHarness<DB>, DB: diesel::backend::Backend>(
    conn: &mut C,
    source: EmbeddedMigrations,
    recorded: bool,
) -> Result<Vec<MigrationState>, AnyError> {
    let applied = if recorded { conn.applied_migrations()? } else { Vec::new() };
    let mut migrations: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    migrations.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    let states = migrations.iter().map(|migration| MigrationState {
        name: migration.name().to_string(),
        applied: applied.contains(&migration.name().version().as_owned()),
    });
    Ok(states.collect())
}

/// Rejects a database that only newer versions can work with. An empty database has no such table
/// yet.
fn check_compatibility(conn: &mut DbConnection) -> Result<(), MigrationError> {
    if !has_table(conn, "compatibility")? {
        return Ok(());
    }
    let failed = |error: diesel::result::Error| MigrationError::Failed(error.into());
    let needed: Option<String> = compatibility::table
        .select(compatibility::oldest_binary)
        .get_result(conn)
        .optional()
        .map_err(failed)?;
    let here = env!("CARGO_PKG_VERSION");
    match needed {
        Some(needed) if release(&needed) > release(here) => Err(MigrationError::TooOld { needed, here }),
        _ => Ok(()),
    }
}

fn has_table(conn: &mut DbConnection, name: &str) -> Result<bool, MigrationError> {
    let query = match conn {
        DbConnection::Sqlite(_) => format!("SELECT count(*) AS n FROM sqlite_master WHERE name = '{name}'"),
        DbConnection::Postgres(_) => {
            format!("SELECT count(*) AS n FROM pg_class WHERE oid = to_regclass('{name}')")
        }
    };
    let count: Count =
        diesel::sql_query(query).get_result(conn).map_err(|error| MigrationError::Failed(error.into()))?;
    Ok(count.n > 0)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

/// Returns the numbers of `major.minor.patch`, for comparison. A version that cannot be parsed
/// sorts after all others.
fn release(version: &str) -> [u64; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(u64::MAX));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_as_numbers() {
        assert!(release("0.10.0") > release("0.9.9"));
        assert!(release("1.0") < release("1.0.1"));
        assert!(release("who knows") > release("99.0.0"));
    }
}
