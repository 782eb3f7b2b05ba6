//! What commands write to standard output with `--json`: one document.

use serde::Serialize;
use serde_json::json;

use super::Refusal;

/// Prints a document.
pub(super) fn print_json(document: &impl Serialize) -> Result<(), Refusal> {
    println!("{}", serde_json::to_string_pretty(document).map_err(|error| error.to_string())?);
    Ok(())
}

/// Prints why a command failed.
pub(super) fn print_failure(why: &str) {
    println!("{:#}", json!({ "error": why }));
}

/// Returns a duration in seconds, to the millisecond.
pub(super) fn seconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
