//! Signals that change the level of the log while the server runs.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use super::logger;

/// Raises the level at each SIGUSR1, and returns to `--log` at SIGUSR2. Call it inside a runtime,
/// and run the result there.
///
/// # Errors
/// Fails if the signals cannot be handled.
pub fn follow_signals() -> io::Result<impl Future<Output = ()>> {
    let (mut raise, mut lower) = (signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?);
    Ok(async move {
        loop {
            tokio::select! {
                Some(()) = raise.recv() => logger::raise(),
                Some(()) = lower.recv() => logger::lower(),
                else => return,
            }
        }
    })
}
