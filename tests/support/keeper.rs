//! Cleans up after the tests. A test process can die without running a single `Drop` (a kill, a
//! crash, a static that is never dropped). So a small shell waits on a pipe whose other end only
//! this process has. When the pipe closes, for whatever reason, the shell ends the processes and
//! removes the directories that were registered.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
processes=
while read -r order value; do
    case $order in
    watch) processes="$processes $value" ;;
    forget)
        kept=
        for process in $processes; do
            [ "${process#*:}" = "$value" ] || kept="$kept $process"
        done
        processes=$kept
        ;;
    remove) set -- "$@" "$value" ;;
    esac
done
for process in $processes; do kill -s "${process%:*}" "${process#*:}"; done
tries=0
for process in $processes; do
    while [ $tries -lt 100 ] && kill -0 "${process#*:}"; do
        tries=$((tries + 1))
        sleep 0.1
    done
done
for directory in "$@"; do
    umount "$directory"
    rm -rf "$directory"
done
"#;

static KEEPER: OnceLock<Mutex<Child>> = OnceLock::new();

/// Ends process `pid` with `signal` (`KILL`, `QUIT`) if this process dies first.
pub fn watch(pid: u32, signal: &str) {
    send(&format!("watch {signal}:{pid}"));
}

/// Call this when the process has ended, because its number may be used again.
pub fn forget(pid: u32) {
    send(&format!("forget {pid}"));
}

/// Unmounts and removes `directory` if this process dies without having done so.
pub fn remove(directory: &Path) {
    send(&format!("remove {}", directory.display()));
}

fn send(order: &str) {
    let keeper = KEEPER.get_or_init(start);
    let mut shell = keeper.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let pipe = shell.stdin.as_mut().expect("stdin is a pipe");
    writeln!(pipe, "{order}").expect("the keeper has died");
}

/// Starts the shell, in its own process group, so that Ctrl-C ends the tests but not the clean-up.
/// It has no output, because readers of the tests' output would wait for its end.
fn start() -> Mutex<Child> {
    let shell = Command::new("sh")
        .args(["-c", SCRIPT, "keeper"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("cannot run sh");
    Mutex::new(shell)
}
