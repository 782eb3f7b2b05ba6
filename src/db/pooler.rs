//! Detects poolers that give a connection to another client between two transactions (PgBouncer in
//! transaction or statement mode). A session would lose its settings and prepared statements at
//! random, so the start fails with such a pooler.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::connection::is_disconnect;

/// How often the connections are compared. A single round finds nearly every pooler.
const ROUNDS: usize = 8;

pub(super) const REFUSAL: &str = "there is a pooler in between that does not keep a connection to itself (PgBouncer in \
     transaction or statement mode): set pool_mode = session for this database, or connect to PostgreSQL directly";

/// Returns whether two connections share a server process, or one of them changes its own.
/// PostgreSQL itself never does either.
///
/// `first` is idle while `second` has a transaction open. A pooler that shares connections then
/// gives `second` the process that `first` had a moment ago, or gives `first` another one
/// afterwards.
///
/// # Errors
/// The database's message, unless it says that transactions cannot be used (statement mode).
pub(super) fn shares_connections(
    first: &mut PgConnection,
    second: &mut PgConnection,
) -> Result<bool, String> {
    for _ in 0..ROUNDS {
        let Some(before) = process_of(first)? else { return Ok(true) };
        if begin(second)?.is_none() {
            return Ok(true);
        }
        let other = process(second)?;
        if other == before {
            return Ok(true);
        }
        let after = process_of(first)?;
        second.batch_execute("ROLLBACK").map_err(|error| error.to_string())?;
        if after != Some(before) || process_of(second)? != Some(other) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the server process of a short transaction. Returns `None` if transactions are not
/// available.
fn process_of(connection: &mut PgConnection) -> Result<Option<i32>, String> {
    if begin(connection)?.is_none() {
        return Ok(None);
    }
    // Inside a transaction even a pooler keeps the process. The two messages of a query need that.
    let process = process(connection)?;
    connection.batch_execute("COMMIT").map_err(|error| error.to_string())?;
    Ok(Some(process))
}

fn begin(connection: &mut PgConnection) -> Result<Option<()>, String> {
    match connection.batch_execute("BEGIN") {
        Ok(()) => Ok(Some(())),
        // PgBouncer sends the reason and closes the connection before libpq has read it.
        Err(error) if is_disconnect(&error) || error.to_string().contains("statement pooling mode") => {
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}

fn process(connection: &mut PgConnection) -> Result<i32, String> {
    #[derive(QueryableByName)]
    struct Process {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let own = diesel::sql_query("SELECT pg_backend_pid() AS pid");
    own.get_result::<Process>(connection).map(|process| process.pid).map_err(|error| error.to_string())
}
