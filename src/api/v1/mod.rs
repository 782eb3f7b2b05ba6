//! The API for clients of the OpenAI protocol, with an auth token as their API key. Errors have
//! that protocol's form (`error/openai.rs`).

pub(super) mod completions;
pub(super) mod models;
mod request;
mod write;
