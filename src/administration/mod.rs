//! What administrators do: each verb changes what it is about and writes the history of it in one transaction.
//!
//! A verb takes the [`Actor`] who does it, answers refusals as values, and may be sent twice without harm.

mod audit;

pub(crate) use audit::Deed;
pub use audit::{Action, Actor, ObjectKind};
