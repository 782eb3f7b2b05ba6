//! The forms that the log can have.

use clap::ValueEnum;

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level and a sentence
    Text,
    /// One JSON object a line
    Json,
}
