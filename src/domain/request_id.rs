//! The id that connects a response with its lines in the log.

use std::fmt;

use rand::RngExt;

/// The id of one request: the value of its `X-Request-Id` header, which its lines in the log show,
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    /// Generates a random id. It need not be secret.
    pub fn generate() -> RequestId {
        RequestId(rand::rng().random())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
