//! What a test needs from the machine, and what happens where it is missing.

use std::io::Write;
use std::path::PathBuf;

/// The calling test cannot run: it fails where everything is required, else it is skipped, loudly. It is written
/// past the test harness, which would swallow the output of a test that passes.
pub fn missing(what: &str, remedy: &str) {
    let required = std::env::var("TOLLGATE_TEST_REQUIRE").is_ok_and(|value| value == "all");
    assert!(!required, "{what} is missing, and TOLLGATE_TEST_REQUIRE=all wants it: {remedy}");
    skipped(&format!("{what} is missing ({remedy})"));
}

/// Says that the calling test, or a part of it, does not run, for a reason that nobody can install away.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    println!("{line}");
}

/// Where `program` is on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Whether the slower versions of tests are wanted: `./scripts/test --all` sets it.
pub fn long() -> bool {
    std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|value| value == "1")
}

/// Whether to run the versions that take minutes: `scripts/proofs` sets it.
pub fn proofs() -> bool {
    std::env::var("TOLLGATE_TEST_PROOFS").is_ok_and(|value| value == "1")
}
