//! The real binary as a process: killed, stopped, without disk space or database, and sent
//! malformed requests.

mod durability;
mod first_steps;
mod full_disk;
mod hold;
mod kill;
pub mod load;
mod locked_database;
mod log_level;
mod log_lines;
mod logs;
mod lost_postgres;
mod malformed;
mod malformed_heads;
mod metrics;
mod reload;
mod security_log;
mod stop;
mod two_servers;
mod writers;

use crate::support::http::Answer;

/// Checks for a 503 in the contract's format that says when to try again.
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let wait: Option<u64> = answer.header("Retry-After").and_then(|seconds| seconds.parse().ok());
    assert!(wait.is_some_and(|seconds| seconds > 0), "no Retry-After: {answer:?}");
    assert!(!answer.error().is_empty());
}
