//! Checks of the database: whether it can be used, and whether what is committed stays.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::check::Check;
use super::machine::OtherClock;
use crate::clock;
use crate::config::Config;
use crate::db::{
    DatabaseUrl, Db, DbOptions, DiskCheckup, SqliteCheckup, check_disk, check_postgres, check_sqlite,
    free_space,
};

/// No disk stores a page in less time.
const FASTEST_SYNC: Duration = Duration::from_micros(15);
/// A sync that takes longer makes every chat wait.
const SLOW_SYNC: Duration = Duration::from_millis(30);

/// The checks, and the clock of the database.
#[derive(Default)]
pub(super) struct Storage {
    pub(super) checks: Vec<Check>,
    pub(super) clock: Option<OtherClock>,
}

pub(super) fn check(config: &Config) -> Storage {
    match config.database.url().sqlite_path() {
        Some(path) => Storage { checks: sqlite(config, path), clock: None },
        None => postgres(&config.database.options()),
    }
}

fn sqlite(config: &Config, path: &Path) -> Vec<Check> {
    let folder = config.data_folder().unwrap_or_else(|| PathBuf::from("."));
    let mut checks = match check_sqlite(path) {
        Err(why) => {
            vec![Check::failure("database", why, "the server does not start until this is corrected")]
        }
        Ok(None) => {
            let found = format!("there is no {} yet", path.display());
            vec![Check::ok("database", format!("{found}: the first start creates it"))]
        }
        Ok(Some(found)) => vec![database(path, &found), durability(&found)],
    };
    checks.push(disk(&folder));
    checks.push(space(&folder, config.listen.min_free_disk));
    checks
}

fn database(path: &Path, found: &SqliteCheckup) -> Check {
    let file = path.display();
    match (found.is_database, found.is_served) {
        (true, true) => Check::ok("database", format!("{file}, which a server has open")),
        (true, false) => Check::ok("database", format!("{file}, which no server has open")),
        (false, _) => Check::warning(
            "database",
            format!("{file} is empty, or no SQLite database"),
            "if it is empty, the first start fills it; if not, check --database-url",
        ),
    }
}

fn durability(found: &SqliteCheckup) -> Check {
    let text = "every connection sets synchronous=FULL, so a commit waits for a sync";
    match found.keeps_a_log {
        true => Check::ok("durability", text),
        false => Check::ok("durability", format!("{text}; the next start turns the write-ahead log on")),
    }
}

/// Measures whether a sync is real, and how long it takes.
fn disk(folder: &Path) -> Check {
    let DiskCheckup { sync, fleeting } = match check_disk(folder) {
        Ok(checkup) => checkup,
        Err(error) => {
            return Check::failure(
                "disk",
                format!("cannot write in {}: {error}", folder.display()),
                "the server writes its log beside the database: create the folder, and give it to the user that runs \
                 the server",
            );
        }
    };
    let took = format!("a sync takes {}", milliseconds(sync));
    match fleeting {
        Some(kind) => Check::warning("disk", format!("{took} on {kind}"), "put the database on a disk"),
        None if sync < FASTEST_SYNC => Check::warning(
            "disk",
            format!("{took}, which is faster than any disk"),
            "something answers before the data is stored (a hypervisor's cache, libeatmydata): turn it off, or a power \
             cut loses chats that were answered",
        ),
        None if sync > SLOW_SYNC => Check::warning(
            "disk",
            took,
            "every answer waits for a sync: put the database on a faster disk, such as an SSD on this machine",
        ),
        None => Check::ok("disk", took),
    }
}

fn space(folder: &Path, least_mib: u64) -> Check {
    match free_space(folder).map(|free| free / (1024 * 1024)) {
        Ok(free) if free < least_mib => Check::warning(
            "free space",
            format!("{free} MiB, and --min-free-disk is {least_mib}"),
            "make room: a full disk stops all chats",
        ),
        Ok(free) => Check::ok("free space", format!("{free} MiB")),
        Err(error) => Check::failure(
            "free space",
            format!("cannot look at {}: {error}", folder.display()),
            "create the folder, or correct --database-url",
        ),
    }
}

fn postgres(options: &DbOptions) -> Storage {
    let opened = Db::open(options).map_err(|error| error.in_full());
    let db = match opened {
        Ok(db) => db,
        Err(why) => {
            let advice = "start PostgreSQL, or correct --database-url";
            return Storage { checks: vec![Check::failure("database", why, advice)], clock: None };
        }
    };
    let mut checks = vec![migrations(&db)];
    let _ = db.close(Instant::now() + Duration::from_secs(5));
    let DatabaseUrl::Postgres(url) = &options.url else { return Storage::default() };
    let before = clock::now();
    let (about, commit) = match check_postgres(url) {
        Ok(found) => found,
        Err(why) => {
            checks.push(Check::failure("durability", why, "PostgreSQL cannot be asked: see its log"));
            return Storage { checks, clock: None };
        }
    };
    checks.push(match (about.fsync, about.full_page_writes) {
        (false, _) => Check::failure(
            "durability",
            "fsync is off",
            "a power cut can lose chats that were answered, and damage the database: set fsync = on",
        ),
        (true, false) => Check::warning(
            "durability",
            "full_page_writes is off",
            "a power cut can damage the database, unless its file system writes whole pages (ZFS): set \
             full_page_writes = on",
        ),
        (true, true) => Check::ok("durability", waits(&about.synchronous_commit)),
    });
    if about.is_standby {
        checks.push(Check::failure(
            "database",
            "this is a standby, which cannot be written",
            "name all hosts, and add ?target_session_attrs=read-write to --database-url",
        ));
    }
    checks.push(match commit {
        Some(commit) if commit > SLOW_SYNC => Check::warning(
            "disk",
            format!("a commit takes {}", milliseconds(commit)),
            "every answer waits for a commit: see the disk of PostgreSQL, the network, and synchronous standbys",
        ),
        Some(commit) => Check::ok("disk", format!("a commit takes {}", milliseconds(commit))),
        None => Check::skipped("disk", "the time of a commit cannot be measured"),
    });
    checks.push(Check::skipped("free space", "PostgreSQL does not tell: watch its disk there"));
    // The moment between the two readings of our own that is nearest.
    let ours = before.max(about.clock.min(clock::now()));
    Storage { checks, clock: Some(OtherClock { name: "the database", theirs: about.clock, ours }) }
}

/// Says what commits wait for.
fn waits(synchronous_commit: &str) -> String {
    match synchronous_commit {
        "off" | "local" => format!(
            "fsync and full_page_writes are on; synchronous_commit is {synchronous_commit}, and Tollgate's own \
             sessions set it to on"
        ),
        other => format!("fsync and full_page_writes are on, and synchronous_commit is {other}"),
    }
}

fn migrations(db: &Db) -> Check {
    let url = db.url();
    match db.migration_state() {
        Err(error) => {
            Check::failure("database", error.to_string(), "the server does not start until this is corrected")
        }
        Ok(states) => match states.iter().filter(|state| !state.applied).count() {
            0 => Check::ok("database", format!("{url}, with all migrations")),
            missing => Check::ok("database", format!("{url}: the next start applies {missing} migrations")),
        },
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_a_failure_and_says_what_to_do() {
        let missing = Path::new("/proc/no-such-folder");
        assert_eq!(disk(missing).state, State::Failure);
        assert_eq!(space(missing, 1).state, State::Failure);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(space(folder.path(), u64::MAX).state, State::Warning);
        assert_eq!(space(folder.path(), 0).state, State::Ok);
    }

    #[test]
    fn a_lower_synchronous_commit_is_said_to_be_raised() {
        assert!(waits("off").contains("set it to on"));
        assert!(waits("remote_apply").ends_with("is remote_apply"));
    }
}
