//! Figures that tests measure for the documents. They are printed, and appended to the file named
//! by
//! `TOLLGATE_TEST_FIGURES` (`scripts/proofs` sets this).

use std::fs::OpenOptions;
use std::io::Write;

/// Reports the figures of the calling test. `what` names the case in a few words. Neither may
/// contain `|`.
pub fn report(what: &str, figures: &str) {
    println!("FIGURES: {what}: {figures}");
    let Some(file) = std::env::var_os("TOLLGATE_TEST_FIGURES") else { return };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let mut file =
        OpenOptions::new().append(true).create(true).open(file).expect("cannot open the file of figures");
    writeln!(file, "| {what} | {figures} | `{test}` |").expect("cannot write the figures");
}
