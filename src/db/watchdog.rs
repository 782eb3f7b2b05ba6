//! The watchdog of PostgreSQL's connections. It lets new threads take over from those that hang.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use super::index::IndexWriter;
use super::reader::Readers;
use super::writer::Writers;

/// Interval between two checks.
const PAUSE: Duration = Duration::from_millis(100);

/// The watchdog's thread. Dropping this ends the thread.
pub(super) struct Watchdog {
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// Fails if the system cannot start a thread.
    pub(super) fn start(
        writers: Arc<Writers>,
        readers: Arc<Readers>,
        index: Arc<IndexWriter>,
    ) -> io::Result<Watchdog> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = stop.clone();
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let (stopped, changed) = &*shared;
            let mut is_stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            while !*is_stopped {
                let waited = changed.wait_timeout(is_stopped, PAUSE).unwrap_or_else(PoisonError::into_inner);
                is_stopped = waited.0;
                writers.relieve();
                readers.relieve();
                index.relieve();
            }
        })?;
        Ok(Watchdog { stop })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
    }
}
