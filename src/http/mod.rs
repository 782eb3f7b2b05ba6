//! What the API, the panel and the pages share: tables of routes, bodies read within limits, and what a request says of
//! its client.

mod body;
mod client;
mod readiness;
mod route;

pub use body::{BodyReader, BodyTimeout, FREE_BYTES, HeldBody, MOST_BYTES, declared_length};
pub use client::{ClientAddress, Https, StrictTransport, request_id_of};
pub use readiness::Readiness;
pub use route::{MethodRoute, Routes, delete, get, not_found, patch, post, resource};
