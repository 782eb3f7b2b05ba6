//! SIGHUP: reloads the settings, or stops a server whose terminal was closed.

use std::io::{self, IsTerminal};

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::Services;

/// Waits for SIGHUP, and calls `reload` each time, which returns whether there are new settings.
pub(super) fn reload_on_hangup(
    services: Services,
    mut reload: impl FnMut(&Services) -> bool,
) -> io::Result<impl Future<Output = ()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let had_terminal = io::stderr().is_terminal();
    Ok(async move {
        while hangups.recv().await.is_some() {
            // A terminal sends the signal when it is closed, and is none any more.
            if had_terminal && !io::stderr().is_terminal() {
                let _ = kill_process(getpid(), Signal::TERM);
                return;
            }
            if reload(&services) {
                services.learn_models().await;
            }
        }
    })
}
