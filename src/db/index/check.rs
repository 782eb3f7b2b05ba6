//! Checks the whole index for damage. That reads all of it, and a stop of the server does not wait
//! for it. So it has a connection of its own that can be interrupted.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, OpenFlags};

use crate::db::file::is_damage;
use crate::db::url::DatabaseUrl;

/// How long a check waits for another process that writes the index.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often, and with which pause, a check is told to end.
const ATTEMPTS: usize = 1_000;
/// See [`ATTEMPTS`].
const PAUSE: Duration = Duration::from_millis(1);

/// The check that runs, if any.
#[derive(Default)]
pub(super) struct Checks(Mutex<Running>);

#[derive(Default)]
struct Running {
    check: Option<InterruptHandle>,
    is_closed: bool,
}

impl Checks {
    /// Returns whether the index is sound.
    ///
    /// # Errors
    /// Fails with the reason why it could not be checked.
    pub(super) fn is_sound(&self, index: &Path) -> Result<bool, String> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(DatabaseUrl::sqlite_uri(index), flags)
            .map_err(|error| error.to_string())?;
        {
            let mut running = self.lock();
            if running.is_closed {
                return Err("the index is closed".to_owned());
            }
            running.check = Some(connection.get_interrupt_handle());
        }
        let outcome = check(&connection);
        self.lock().check = None;
        match outcome {
            Err(error) if !is_damage(&error.to_string()) => Err(error.to_string()),
            outcome => Ok(outcome.is_ok_and(|is_sound| is_sound)),
        }
    }

    /// Ends the check that runs, and permits no other. Only a statement that runs is interrupted,
    /// and the next one may just be about to begin, so this is repeated until the check has ended.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        for _ in 0..ATTEMPTS {
            match &self.lock().check {
                Some(check) => check.interrupt(),
                None => return,
            }
            thread::sleep(PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(LOCK_WAIT)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(false);
    }
    for table in ["chat_search", "user_search", "reason_search", "history_search"] {
        connection.execute_batch(&format!("INSERT INTO {table} ({table}) VALUES ('integrity-check')"))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("index.db");
        let made = Connection::open(&path).unwrap();
        made.execute_batch(
            "CREATE VIRTUAL TABLE chat_search USING fts5 (terms, content = '', contentless_delete = 1);
             CREATE VIRTUAL TABLE user_search USING fts5 (terms, content = '', contentless_delete = 1);
             CREATE VIRTUAL TABLE reason_search USING fts5 (terms, content = '', contentless_delete = 1);
             CREATE VIRTUAL TABLE history_search USING fts5 (terms, content = '', contentless_delete = 1);
             CREATE TABLE keys (id INTEGER PRIMARY KEY, text TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
             INSERT INTO keys SELECT i, printf('%0100d', i) FROM n;",
        )
        .unwrap();
        path
    }

    #[test]
    fn a_check_ends_when_the_index_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = index(folder.path());
        let checks = Checks::default();
        assert_eq!(checks.is_sound(&path), Ok(true));
        thread::scope(|scope| {
            let running = scope.spawn(|| checks.is_sound(&path));
            while checks.lock().check.is_none() && !running.is_finished() {
                thread::yield_now();
            }
            checks.close();
            assert!(running.join().unwrap().is_err(), "it went on to its end");
        });
        assert!(checks.is_sound(&path).is_err(), "there is no other one");
    }
}
