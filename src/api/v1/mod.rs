//! What clients of the OpenAI protocol use, with an auth token as their API key. Errors have that protocol's shape: see
//! `error/openai.rs`.

pub(super) mod completions;
pub(super) mod models;
mod request;
mod write;
