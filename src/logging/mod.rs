//! The log: the form of its lines, what it leaves out, the level in force, and what the lines of a
//! request have in common.
//!
//! No line contains a password, an auth token, a key or a message. Lines of our own never mention
//! them. Other crates do not know what is secret, so they cannot log below the level *info*, and
//! what a panic quotes is left out.

mod format;
mod json;
mod logger;
mod notes;
mod signals;
mod text;

pub use format::LogFormat;
pub use logger::{announce, set_filter, start};
pub use notes::{About, RequestNotes};
pub use signals::follow_signals;
