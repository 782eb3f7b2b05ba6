//! The id that connects a response with its lines in the log.

use std::fmt;

use log::kv::{ToValue, Value};
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

/// The value of the field `request_id` of a line in the log.
impl ToValue for RequestId {
    fn to_value(&self) -> Value<'_> {
        Value::from_display(self)
    }
}
