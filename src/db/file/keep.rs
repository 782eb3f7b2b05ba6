//! Saves data that only this process still has: a file or a log that was deleted while open exists
//! until it is closed.

use std::path::Path;
use std::time::Instant;
use std::{fs, mem};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::fault::Fault;
use super::generation::fresh;
use super::sidecar::Sidecar;
use super::{Guard, free_name};
use crate::db::DbConnection;
use crate::db::session::Session;

/// After a failed attempt, the next one follows after this many times its duration: an attempt may
/// fill the disk.
const REST: u32 = 10;

/// The attempts to save data that only this process still has.
#[derive(Default)]
pub(in crate::db) struct Rescue {
    /// Whether all was saved. `None` if an attempt is still needed.
    saved: Option<bool>,
    /// Why the last attempt failed.
    failure: String,
    /// When the next attempt may start.
    next: Option<Instant>,
}

impl Rescue {
    /// Tries once more, unless it is done or the last attempt was long and recent.
    pub(in crate::db) fn attempt(&mut self, guard: &Guard, fault: Fault, conn: &mut DbConnection) {
        if self.saved.is_some() || self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        let begun = Instant::now();
        match save(guard, fault, conn) {
            Ok(is_saved) => self.saved = Some(is_saved),
            Err(why) => {
                if why != self.failure {
                    log::error!("what {} held could not be saved yet: {why}", guard.path().display());
                    self.failure = why;
                }
                self.next = Some(Instant::now() + begun.elapsed() * REST);
            }
        }
    }

    /// Permits the next attempt at once, because the process is ending and it is the last one.
    pub(in crate::db) fn hurry(&mut self) {
        self.next = None;
    }

    /// Returns whether a later attempt may save more. Call it only after a fault.
    pub(in crate::db) fn is_open(&self) -> bool {
        self.saved.is_none()
    }
}

/// Saves what can be saved after `fault`, on a connection that was opened before it happened.
/// Returns whether everything that callers were told is committed is in one file now.
///
/// # Errors
/// Fails with the reason why it is not saved yet. A later attempt may succeed.
fn save(guard: &Guard, fault: Fault, conn: &mut DbConnection) -> Result<bool, String> {
    let DbConnection::Sqlite(conn) = conn else { return Ok(false) };
    let file = guard.path().display();
    let saved = match fault {
        Fault::LogGone if guard.has_other_log() => {
            let what = save_aside(guard, conn)?;
            // The next start must not use that log for our file.
            log_failure(guard, disown(guard.real()));
            what
        }
        Fault::LogGone => {
            copy_the_log(conn)?;
            format!("what the log of {file} held was copied into the file: nothing that was answered is lost")
        }
        Fault::Deleted => save_aside(guard, conn)?,
        Fault::Replaced => match guard.own_names() {
            Some((0, _)) | None => save_aside(guard, conn)?,
            Some((_, name)) => {
                copy_the_log(conn)?;
                format!("the database that was served is {} now, with all that was answered", name.display())
            }
        },
        Fault::Overwritten => {
            // No later start may combine file and log, whatever the header says.
            log_failure(guard, disown(guard.real()));
            log::error!(
                "{file}-wal belongs to the file that was overwritten, and must not be joined to this one: move it away"
            );
            return Ok(false);
        }
        Fault::LogDamaged => {
            // No later start may serve the file, because data is missing in it.
            log_failure(guard, mark_damaged(guard.real()));
            log::error!(
                "{file} may be damaged, as a part of its log is lost: restore a backup with `tollgate restore`"
            );
            return Ok(false);
        }
    };
    log::error!("{saved}");
    Ok(true)
}

/// Copies the log into the file, after the file or its folder was moved, so that its contents move
/// along.
pub(in crate::db) fn follow(conn: &mut DbConnection) {
    if let DbConnection::Sqlite(conn) = conn {
        let _ = copy_the_log(conn);
    }
}

/// Closes the last connection, which copies the log and removes it by its name. If either would do
/// harm, the connection is left open until the process ends.
pub(in crate::db) fn close_last(guard: &Guard, session: Session, rescue: &Rescue) {
    let fault = guard.fault();
    if fault.is_some_and(Fault::forbids_copying) || !guard.names_no_other_log() {
        mem::forget(session);
        return;
    }
    guard.connections().close_last();
    drop(session);
    // SQLite does not remove the log if the file has another name.
    if rescue.saved == Some(true) && matches!(fault, Some(Fault::Replaced | Fault::Deleted)) {
        guard.remove_own_log();
    }
}

/// Copies the whole log into the file.
fn copy_the_log(conn: &mut SqliteConnection) -> Result<(), String> {
    #[derive(QueryableByName)]
    struct Copied {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        busy: i32,
        #[diesel(sql_type = diesel::sql_types::Integer)]
        log: i32,
        #[diesel(sql_type = diesel::sql_types::Integer)]
        checkpointed: i32,
    }
    let copied: Copied = diesel::sql_query("PRAGMA wal_checkpoint(FULL)")
        .get_result(conn)
        .map_err(|error| error.to_string())?;
    // Both counts are -1 if another connection is copying the log.
    if copied.busy == 0 && copied.log >= 0 && copied.log == copied.checkpointed {
        Ok(())
    } else {
        Err("another program that has the database open kept the log from being copied".to_owned())
    }
}

/// Writes the database, as this process sees it, into a new file beside its place. Returns the name
/// of that file.
fn save_aside(guard: &Guard, conn: &mut SqliteConnection) -> Result<String, String> {
    let target = free_name(guard.real(), "-saved");
    let text = target.to_string_lossy().replace('\'', "''");
    let written = conn
        .batch_execute(&format!("VACUUM INTO '{text}'"))
        .map_err(|error| error.to_string())
        .and_then(|()| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&target, mode).map_err(|error| error.to_string())
        });
    if let Err(why) = written {
        // The next attempt takes another name.
        let _ = fs::remove_file(&target);
        return Err(why);
    }
    Ok(format!("the database that was served was saved as {}, with all that was answered", target.display()))
}

fn mark_damaged(database: &Path) -> Result<(), String> {
    let known = Sidecar::read(database).map_err(|error| error.to_string())?.unwrap_or_default();
    Sidecar { is_damaged: true, ..known }.write(database).map_err(|error| error.to_string())
}

fn log_failure(guard: &Guard, written: Result<(), String>) {
    if let Err(why) = written {
        log::error!("cannot write {}-generation: {why}", guard.real().display());
    }
}

fn disown(database: &Path) -> Result<(), String> {
    let nobodys = Sidecar { generations: vec![fresh()], ..Sidecar::default() };
    nobodys.write(database).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;

    use super::copy_the_log;

    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        log: i32,
    }

    #[test]
    fn a_log_that_others_keep_from_being_copied_does_not_count_as_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db").to_string_lossy().into_owned();
        let open = || SqliteConnection::establish(&path).unwrap();
        let (mut writer, mut reader, mut other) = (open(), open(), open());
        let first = "PRAGMA journal_mode = WAL; CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)";
        writer.batch_execute(first).unwrap();
        reader.batch_execute("BEGIN; SELECT count(*) FROM t").unwrap();
        writer.batch_execute("INSERT INTO t VALUES (2)").unwrap();
        copy_the_log(&mut writer).unwrap_err();
        // Now another connection waits for that reader, so this one cannot even count. It does not
        // wait for the loop below, which also copies, but fails at once: so it tries again.
        let waiting = thread::spawn(move || {
            other.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
            while diesel::sql_query("PRAGMA wal_checkpoint(FULL)")
                .get_result::<Count>(&mut other)
                .unwrap()
                .log
                == -1
            {
                thread::yield_now();
            }
        });
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let query = diesel::sql_query("PRAGMA wal_checkpoint(PASSIVE)");
            if query.get_result::<Count>(&mut writer).unwrap().log == -1 {
                break;
            }
            assert!(Instant::now() < until, "the other connection never began");
        }
        copy_the_log(&mut writer).unwrap_err();
        reader.batch_execute("COMMIT").unwrap();
        waiting.join().unwrap();
        copy_the_log(&mut writer).unwrap();
    }
}
