//! What a test needs from the machine, and what happens if it is missing.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Reports that the calling test cannot run. If everything is required, the test fails. Otherwise
/// it is skipped, with a message that bypasses the test harness, which would swallow the output of
/// a test that passes.
pub fn missing(what: &str, remedy: &str) {
    let required = std::env::var("TOLLGATE_TEST_REQUIRE").is_ok_and(|value| value == "all");
    assert!(!required, "{what} is missing, and TOLLGATE_TEST_REQUIRE=all requires it: {remedy}");
    skipped(&format!("{what} is missing ({remedy})"));
}

/// Reports that the calling test, or a part of it, does not run, for a reason that installing
/// something cannot change.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    println!("{line}");
}

/// Finds `program` on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Returns whether the slower versions of tests are wanted. `./scripts/test --all` sets this.
pub fn long() -> bool {
    std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|value| value == "1")
}

/// Returns whether the versions that take minutes are wanted. `scripts/proofs` sets this.
pub fn proofs() -> bool {
    std::env::var("TOLLGATE_TEST_PROOFS").is_ok_and(|value| value == "1")
}

/// Returns the time limit for something that a person waits for. `scripts/proofs` has the machine
/// to itself and keeps the limit. Other runs share it with tests, so they may take twice as long.
pub fn patience(limit: Duration) -> Duration {
    if proofs() { limit } else { limit * 2 }
}
