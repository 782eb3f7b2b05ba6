//! Chooses the number of writers on PostgreSQL.
//!
//! A second writer works while the first one waits for its commit. More writers share the same
//! charges between smaller batches, of which each costs as much again, and on a machine with few
//! cores they wait for each other. So the number follows from the time of a commit, and the cores
//! limit it where PostgreSQL runs on this machine. Of another machine, the cores are unknown.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::DbConnection;
use super::connector::Connector;
use super::postgres;

/// The number of writers if no time could be measured, and the least that are chosen.
const DEFAULT: usize = 2;
/// The most writers that are chosen.
const MOST: usize = 8;
/// The number of commits that are measured. Their median counts.
const SAMPLES: usize = 9;
/// The time in which PostgreSQL executes a small batch of charges. A commit that takes this time
/// keeps one more writer busy.
const A_BATCH: Duration = Duration::from_micros(500);
/// How long the measurement may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the number of writers depends on.
struct Measured {
    /// The time of a small commit, including the way to the server and back.
    commit: Duration,
    /// The number of this machine's cores, if PostgreSQL runs on it.
    cores: Option<usize>,
}

/// Returns the number of writers of a server: what is `wanted`, or what suits the database. Warns
/// if more are wanted than are of use.
pub(super) fn choose(connector: Connector, wanted: Option<usize>) -> usize {
    // A standby that must confirm a commit may be away. The server starts all the same.
    let measured = postgres::within(PATIENCE, move || measure(&connector));
    let Ok(Some(Some(measured))) = measured else {
        let chosen = wanted.unwrap_or(DEFAULT).max(1);
        log::warn!("the time of a commit cannot be measured now, so the number of writers is {chosen}");
        return chosen;
    };
    let (best, most) = (measured.best(), measured.most());
    let commit = measured.commit.as_secs_f64() * 1000.0;
    let Some(wanted) = wanted else {
        log::info!("{best} writers: a commit takes {commit:.2} ms");
        return best;
    };
    if wanted > most {
        let cores = measured.cores.map_or(String::new(), |cores| format!(", on {cores} cores"));
        log::warn!(
            "--pg-writers {wanted} is too high for this database: a commit takes {commit:.2} ms{cores}. \
             More than {most} writers make chats slower; without the setting there are {best}"
        );
    }
    wanted.max(1)
}

impl Measured {
    /// Returns the number of writers that suits the database.
    fn best(&self) -> usize {
        let waiting = self.commit.as_nanos().div_ceil(A_BATCH.as_nanos());
        let busy = usize::try_from(waiting).unwrap_or(MOST).saturating_add(1);
        busy.clamp(DEFAULT, MOST).min(self.cores.map_or(MOST, |cores| cores.max(DEFAULT)))
    }

    /// Returns the number above which more writers do harm.
    fn most(&self) -> usize {
        if self.cores.is_some() { self.best() } else { 2 * self.best() }
    }
}

/// Returns `None` if the database cannot be reached or written now.
fn measure(connector: &Connector) -> Option<Measured> {
    let (DbConnection::Postgres(mut conn), _) = connector.connect_with_reason().ok()?.into_parts() else {
        return None;
    };
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        // The smallest thing that a commit must wait for.
        conn.batch_execute("SELECT pg_logical_emit_message(true, 'tollgate', 'commit')").ok()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let commit = *times.get(SAMPLES / 2)?;
    let is_here = connector.url.is_on_this_machine() && has_one_machine(&mut conn);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some(Measured { commit, cores: is_here.then_some(cores) })
}

/// Returns whether the server sees its client on its own machine. A pooler on this machine is not
/// the server.
fn has_one_machine(conn: &mut PgConnection) -> bool {
    #[derive(QueryableByName)]
    struct Machines {
        #[diesel(sql_type = Bool)]
        same: bool,
    }
    let same = "SELECT inet_client_addr() IS NOT DISTINCT FROM inet_server_addr() AS same";
    diesel::sql_query(same).get_result::<Machines>(conn).is_ok_and(|machines| machines.same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(commit_micros: u64, cores: Option<usize>) -> Measured {
        Measured { commit: Duration::from_micros(commit_micros), cores }
    }

    #[test]
    fn the_cores_limit_the_writers_where_postgresql_runs_here() {
        assert_eq!(measured(50, Some(16)).best(), 2);
        assert_eq!(measured(1_200, Some(16)).best(), 4);
        assert_eq!(measured(1_200, Some(2)).best(), 2);
        assert_eq!(measured(20_000, Some(64)).best(), MOST);
        assert_eq!(measured(20_000, Some(1)).best(), 2);
        assert_eq!(measured(20_000, Some(2)).most(), 2);
    }

    #[test]
    fn a_slow_commit_of_another_machine_gets_more_writers() {
        assert_eq!(measured(300, None).best(), 2);
        assert_eq!(measured(1_400, None).best(), 4);
        assert_eq!(measured(60_000_000, None).best(), MOST);
        assert_eq!(measured(300, None).most(), 4);
    }
}
