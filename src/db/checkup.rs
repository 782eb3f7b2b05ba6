//! What `tollgate doctor` finds out about a database and its disk. Nothing is changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text, Timestamp};
use rustix::fs::statfs;

use super::file::{self, beside};
use super::postgres;
use super::serve_lock::ServeLock;

/// How many syncs and commits are measured. Their median counts.
const SAMPLES: usize = 21;
/// The bytes that are written before each sync: a page of SQLite's log.
const A_PAGE: [u8; 4096] = [b't'; 4096];

/// An SQLite file that exists.
#[derive(Clone, Debug)]
pub struct SqliteCheckup {
    /// Whether a server has the file open.
    pub is_served: bool,
    /// Whether it is a database, and not an empty or another file.
    pub is_database: bool,
    /// Whether it keeps a write-ahead log, which every start turns on.
    pub keeps_a_log: bool,
    /// The files of the database that others may read or change, with their modes.
    pub open_files: Vec<(PathBuf, u32)>,
}

/// Looks at an SQLite file, without opening it as a database. `None` if it does not exist.
///
/// # Errors
/// Fails with the reason why a server would refuse it.
pub fn check_sqlite(path: &Path) -> Result<Option<SqliteCheckup>, String> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    file::check_presence(&real).map_err(|error| error.to_string())?;
    if !real.exists() {
        return Ok(None);
    }
    file::check_place(path).map_err(|error| error.to_string())?;
    let header =
        file::read_header(&real).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let own = ["", "-wal", "-shm"].map(|suffix| beside(&real, suffix));
    let modes = own.into_iter().filter_map(|file| {
        let mode = fs::metadata(&file).ok()?.mode() & 0o7777;
        (mode & 0o077 != 0).then_some((file, mode))
    });
    Ok(Some(SqliteCheckup {
        is_served: ServeLock::is_held(&real),
        is_database: header.starts_with(file::MAGIC),
        keeps_a_log: header.get(18..20) == Some(&[2, 2]),
        open_files: modes.collect(),
    }))
}

/// The disk of a folder.
#[derive(Clone, Debug)]
pub struct DiskCheckup {
    /// The median time of a write and its sync.
    pub sync: Duration,
    /// The kind of file system, if it is one that keeps nothing, or not for long.
    pub fleeting: Option<&'static str>,
}

/// File systems that do not keep what is written to them, by their Linux type numbers.
const FLEETING: [(i64, &str); 3] = [
    (0x0102_1994, "tmpfs, which is memory: everything is lost when the machine restarts"),
    (0x8584_58F6, "ramfs, which is memory: everything is lost when the machine restarts"),
    (0x794C_7630, "overlayfs, a container's own layer: everything is lost when the container is removed"),
];

/// Measures syncs in a folder with a file of its own, which is removed again.
///
/// # Errors
/// Fails if the folder cannot be written.
pub fn check_disk(folder: &Path) -> io::Result<DiskCheckup> {
    let path = folder.join(format!(".tollgate-doctor-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let measured = measure_syncs(&file);
    drop(file);
    fs::remove_file(&path)?;
    let kind = statfs(folder)?.f_type;
    let fleeting = FLEETING.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name);
    Ok(DiskCheckup { sync: measured?, fleeting })
}

fn measure_syncs(mut file: &File) -> io::Result<Duration> {
    // The file gets its length first, as the log of a busy server has it.
    file.write_all(&A_PAGE)?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        file.write_all_at(&A_PAGE, 0)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What PostgreSQL says of itself.
#[derive(Clone, Debug, QueryableByName)]
pub struct PostgresCheckup {
    /// Its version.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// Whether it syncs its files.
    #[diesel(sql_type = Bool)]
    pub fsync: bool,
    /// Whether it can repair a page that a power cut left half written.
    #[diesel(sql_type = Bool)]
    pub full_page_writes: bool,
    /// What a commit waits for where a session does not say otherwise.
    #[diesel(sql_type = Text)]
    pub synchronous_commit: String,
    /// Whether it is a standby, which cannot be written.
    #[diesel(sql_type = Bool)]
    pub is_standby: bool,
    /// Its clock, in UTC.
    #[diesel(sql_type = Timestamp)]
    pub clock: NaiveDateTime,
}

/// Asks PostgreSQL about itself. Also returns the median time of a small commit, if it can be
/// measured.
///
/// # Errors
/// Fails with the reason, and advice if there is any.
pub fn check_postgres(url: &str) -> Result<(PostgresCheckup, Option<Duration>), String> {
    let mut conn = postgres::connect_to_read(url)?;
    // Our own sessions raise synchronous_commit, so the value before that counts.
    let about = "SELECT current_setting('server_version') AS version,
        current_setting('fsync')::boolean AS fsync,
        current_setting('full_page_writes')::boolean AS full_page_writes,
        (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit,
        pg_is_in_recovery() AS is_standby,
        clock_timestamp() AT TIME ZONE 'UTC' AS clock";
    let about: PostgresCheckup =
        diesel::sql_query(about).get_result(&mut conn).map_err(|error| error.to_string())?;
    let commit = if about.is_standby { None } else { measure_commits(&mut conn) };
    Ok((about, commit))
}

fn measure_commits(conn: &mut PgConnection) -> Option<Duration> {
    // A standby that must confirm commits may be away.
    conn.batch_execute("SET statement_timeout = '5s'").ok()?;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        // The smallest thing that a commit must wait for. It writes to no table.
        conn.batch_execute("SELECT pg_logical_emit_message(true, 'tollgate', 'doctor')").ok()?;
        times.push(began.elapsed());
    }
    Some(median(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measuring_a_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let checkup = check_disk(folder.path()).unwrap();
        assert!(checkup.sync > Duration::ZERO);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(check_disk(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn a_missing_database_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        assert!(check_sqlite(&path).unwrap().is_none());
        fs::write(&path, b"").unwrap();
        let checkup = check_sqlite(&path).unwrap().unwrap();
        assert!(!checkup.is_database && !checkup.is_served && !checkup.keeps_a_log);
        assert!(check_sqlite(folder.path()).unwrap_err().contains("a folder"));
    }
}
