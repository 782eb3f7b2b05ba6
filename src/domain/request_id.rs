//! The id of one request.

use std::fmt;

use rand::RngExt;

/// The id of one request: the value of its `X-Request-Id` header and of its lines in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    pub fn generate() -> RequestId {
        RequestId(rand::rng().random())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
