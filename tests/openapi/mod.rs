//! The description of the API: the document at `/openapi.json` and the reference at `/docs/`.
//! `tests/support/documented.rs` compares it with the answers that all other tests see.

mod document;
mod examples;
mod reference;
mod schemathesis;
