//! The JSON API over the real routes.

mod auth_tokens;
mod contract;
mod conversations;
mod cors;
mod credentials;
mod errors;
mod headers;
mod history;
mod holds;
mod idempotency;
mod idle_auth_tokens;
mod imported_users;
mod limits;
mod log_in;
mod log_out;
mod messages;
mod pages;
mod password;
mod problems;
mod registration;
mod start_page;
mod streams;
mod throttles;
pub mod upstream;
mod v1;
