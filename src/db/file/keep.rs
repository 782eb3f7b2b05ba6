//! Saves data that only this process still has: a file or a log that was deleted while open exists
//! until it is closed.

use std::mem;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::fault::Fault;
use super::generation::fresh;
use super::sidecar::Sidecar;
use super::{Guard, free_name};
use crate::db::DbConnection;
use crate::db::session::Session;

/// Saves what it can after `fault`, on a connection that was opened before the fault. Returns whether
/// everything that was answered is now in one file.
pub(in crate::db) fn save(guard: &Guard, fault: Fault, conn: &mut DbConnection) -> bool {
    let DbConnection::Sqlite(conn) = conn else { return false };
    let file = guard.path().display();
    let saved = match fault {
        Fault::LogGone if guard.has_other_log() => {
            // The next start must not take the other log for ours.
            save_aside(guard, conn).and_then(|what| disown(guard.real()).map(|()| what))
        }
        Fault::LogGone => copy_the_log(conn).map(|()| {
            format!("what the log of {file} held was copied into the file: nothing that was answered is lost")
        }),
        Fault::Deleted => save_aside(guard, conn),
        Fault::Replaced => match guard.own_names() {
            Some((0, _)) | None => save_aside(guard, conn),
            Some((_, name)) => copy_the_log(conn).map(|()| {
                format!("the database that was served is {} now, with all that was answered", name.display())
            }),
        },
        Fault::Overwritten => {
            // No later start may join file and log, whatever the header says.
            say_failure(guard, disown(guard.real()));
            log::error!(
                "{file}-wal belongs to the file that was overwritten, and must not be joined to this one: move it away"
            );
            return false;
        }
        Fault::LogDamaged => {
            // No later start may serve the file, which lacks what is lost.
            say_failure(guard, mark_damaged(guard.real()));
            log::error!(
                "{file} may be damaged, as a part of its log is lost: restore a backup with `tollgate restore`"
            );
            return false;
        }
    };
    match &saved {
        Ok(what) => log::error!("{what}"),
        Err(why) => log::error!("what {file} held could not be saved: {why}"),
    }
    saved.is_ok()
}

/// The file or its folder has been moved away. Copies the log into the file, so that its contents go along.
pub(in crate::db) fn follow(conn: &mut DbConnection) {
    if let DbConnection::Sqlite(conn) = conn {
        let _ = copy_the_log(conn);
    }
}

/// Closes the last connection, which copies the log and removes it by its name. If either would do harm, it
/// leaves the connection open until the process ends.
pub(in crate::db) fn close_last(guard: &Guard, session: Session, is_saved: bool) {
    let fault = guard.fault();
    if fault.is_some_and(Fault::forbids_copying) || !guard.names_no_other_log() {
        mem::forget(session);
        return;
    }
    drop(session);
    // SQLite leaves the log if the file has another name.
    if is_saved && matches!(fault, Some(Fault::Replaced | Fault::Deleted)) {
        guard.remove_own_log();
    }
}

fn copy_the_log(conn: &mut SqliteConnection) -> Result<(), String> {
    #[derive(QueryableByName)]
    struct Copied {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        log: i32,
        #[diesel(sql_type = diesel::sql_types::Integer)]
        checkpointed: i32,
    }
    let copied: Copied = diesel::sql_query("PRAGMA wal_checkpoint(FULL)")
        .get_result(conn)
        .map_err(|error| error.to_string())?;
    if copied.log == copied.checkpointed {
        Ok(())
    } else {
        Err("a reader kept the log from being copied".to_owned())
    }
}

/// Writes the database, as this process sees it, into a new file beside its place.
fn save_aside(guard: &Guard, conn: &mut SqliteConnection) -> Result<String, String> {
    let target = free_name(guard.real(), "-saved");
    let text = target.to_string_lossy().replace('\'', "''");
    conn.batch_execute(&format!("VACUUM INTO '{text}'")).map_err(|error| error.to_string())?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&target, mode).map_err(|error| error.to_string())?;
    Ok(format!("the database that was served was saved as {}, with all that was answered", target.display()))
}

fn mark_damaged(database: &Path) -> Result<(), String> {
    let known = Sidecar::read(database).map_err(|error| error.to_string())?.unwrap_or_default();
    Sidecar { is_damaged: true, ..known }.write(database).map_err(|error| error.to_string())
}

fn say_failure(guard: &Guard, written: Result<(), String>) {
    if let Err(why) = written {
        log::error!("cannot write {}-generation: {why}", guard.real().display());
    }
}

fn disown(database: &Path) -> Result<(), String> {
    let nobodys = Sidecar { generations: vec![fresh()], ..Sidecar::default() };
    nobodys.write(database).map_err(|error| error.to_string())
}
