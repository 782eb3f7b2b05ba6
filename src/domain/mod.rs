//! Values that can only be made by parsing, so that holding one proves that it obeys the rules.

mod aliases;
mod auth_token;
mod canonical;
mod common_passwords;
mod decoration;
mod endpoint;
mod extra_fields;
mod failure_reason;
mod fold;
mod idempotency_key;
mod json_values;
mod look_alike;
mod message;
mod operation_id;
mod password;
mod reason;
mod request_id;
mod session_secret;
mod single_line;
mod usage;
mod username;

pub use aliases::{Aliases, alias_fit, aliases_in, is_pattern};
pub use auth_token::{
    NoRandomness, PlainToken, TokenDigest, first_characters_of, presented_token, without_tokens,
};
pub use canonical::canonical_of;
pub use endpoint::Endpoint;
pub use extra_fields::ExtraFields;
pub use failure_reason::FailureReason;
pub use fold::fold;
pub use idempotency_key::{Fingerprint, IdempotencyKey};
pub use json_values::{count_values, has_more_values};
pub use look_alike::{mixes_scripts, skeleton_of};
pub use message::Message;
pub use operation_id::OperationId;
pub use password::{NewPassword, Password, is_same_password};
pub use reason::{REASON_LENGTH, Reason};
pub use request_id::RequestId;
pub use session_secret::{CsrfToken, SessionSecret};
pub use single_line::{NotALine, single_line};
pub use usage::{Usage, UsageDetails, estimate, estimate_of};
pub use username::{LoginName, Username};

/// Why the value of a field was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field's name, as the client wrote it.
    pub field: &'static str,
    /// A sentence for the user: what is wrong, and what would be right. Never contains a secret.
    pub reason: String,
}

impl Invalid {
    /// Makes the error of one field. `reason` is a sentence for the user.
    pub fn new(field: &'static str, reason: impl Into<String>) -> Invalid {
        Invalid { field, reason: reason.into() }
    }
}
