//! What commands write to standard output: lines, or one document with `--json`.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::Refusal;

/// Prints a line, such as `print_line(format_args!("{count} users"))`. What a command has done
/// stays done if nobody reads its output, so a closed pipe is not a failure. `println!` would
/// panic.
///
/// # Errors
/// Fails if the line cannot be written, for example because a disk is full.
pub(super) fn print_line(line: fmt::Arguments<'_>) -> Result<(), Refusal> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("it is done, but its outcome cannot be written to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Prints a document.
///
/// # Errors
/// Those of [`print_line`].
pub(super) fn print_json(document: &impl Serialize) -> Result<(), Refusal> {
    let text = serde_json::to_string_pretty(document).map_err(|error| error.to_string())?;
    print_line(format_args!("{text}"))
}

/// Prints why a command failed. If that is impossible, its exit code still tells.
pub(super) fn print_failure(why: &str) {
    drop(print_line(format_args!("{:#}", json!({ "error": why }))));
}

/// Returns a duration in seconds, to the millisecond.
pub(super) fn seconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
