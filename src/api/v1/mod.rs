//! The API for clients of other protocols, with an auth token as their API key: one file for each
//! dialect. A further dialect is a file with a type that implements [`Dialect`](dialect::Dialect),
//! an [`Endpoint`](crate::domain::Endpoint) and a row in the table of routes. Errors have the form
//! of the protocol (`error/openai.rs`, `error/anthropic.rs`).

mod answers;
mod chat_completions;
mod completions;
mod count;
pub(super) mod descriptions;
mod dialect;
mod embeddings;
mod fields;
mod inputs_body;
mod limits;
mod messages;
pub(super) mod models;
pub(super) mod responses;

pub(super) use chat_completions::ChatCompletions;
pub(super) use completions::Completions;
pub(super) use count::count_tokens;
pub(super) use dialect::create;
pub(super) use embeddings::EmbeddingsOfInputs;
pub(super) use messages::Messages;
pub(super) use responses::Responses;
