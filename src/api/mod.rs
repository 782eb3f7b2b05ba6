//! The JSON API: one file per resource, and here the table of routes.
//!
//! Every path is served with and without its trailing slash. Another method gets 405 with `Allow`.

mod admit;
mod answer;
mod auth_tokens;
mod balance;
mod body;
mod chat;
mod chats;
mod conversations;
mod event_stream;
mod form;
mod health;
mod idempotency;
mod large_body;
mod ledger;
mod log_in;
mod log_out;
mod me;
mod page;
mod password;
mod receipt;
mod register;
mod text;
mod v1;

use actix_web::web::{self, ServiceConfig};

pub use health::not_ready;
pub use large_body::LargeBodies;

use crate::error::{Error, Result};
use crate::http::{NOT_THERE, PathKind, Routes, delete, get, not_found, patch, post, resources};

/// The table of routes. The busiest come first, because paths are tried in order.
pub const ROUTES: Routes = &[
    ("/chat", &[post(|r| r.to(chat::create))]),
    ("/tokens", &[get(|r| r.to(balance::tokens))]),
    ("/balance", &[get(|r| r.to(balance::balance))]),
    ("/register", &[post(|r| r.to(register::create))]),
    ("/login", &[post(|r| r.to(log_in::create))]),
    ("/logout", &[post(|r| r.to(log_out::create))]),
    ("/v1/chat/completions", &[post(|r| r.to(v1::create::<v1::ChatCompletions>))]),
    ("/v1/completions", &[post(|r| r.to(v1::create::<v1::Completions>))]),
    ("/v1/embeddings", &[post(|r| r.to(v1::create::<v1::EmbeddingsOfInputs>))]),
    ("/v1/messages", &[post(|r| r.to(v1::create::<v1::Messages>))]),
    ("/v1/messages/count_tokens", &[post(|r| r.to(v1::count_tokens::<v1::Messages>))]),
    ("/v1/responses", &[post(|r| r.to(v1::create::<v1::Responses>))]),
    ("/v1/responses/input_tokens", &[post(|r| r.to(v1::count_tokens::<v1::Responses>))]),
    (
        "/v1/responses/{id}",
        &[get(|r| r.to(v1::responses::resource::show)), delete(|r| r.to(v1::responses::resource::delete))],
    ),
    ("/v1/responses/{id}/input_items", &[get(|r| r.to(v1::responses::resource::input_items))]),
    ("/v1/models", &[get(|r| r.to(v1::models::list))]),
    // Names of models may contain slashes.
    ("/v1/models/{id:.+}", &[get(|r| r.to(v1::models::show))]),
    ("/conversations", &[get(|r| r.to(conversations::list)), post(|r| r.to(conversations::create))]),
    (
        "/conversations/{id}",
        &[
            get(|r| r.to(conversations::show)),
            patch(|r| r.to(conversations::rename)),
            delete(|r| r.to(conversations::delete)),
        ],
    ),
    ("/me", &[get(|r| r.to(me::show))]),
    ("/chats", &[get(|r| r.to(chats::list))]),
    ("/chats/{id}", &[get(|r| r.to(chats::show))]),
    ("/ledger", &[get(|r| r.to(ledger::list))]),
    ("/auth-tokens", &[get(|r| r.to(auth_tokens::list)), post(|r| r.to(auth_tokens::create))]),
    ("/auth-tokens/{id}", &[delete(|r| r.to(auth_tokens::revoke))]),
    ("/password", &[post(|r| r.to(password::change))]),
    ("/healthz", &[get(|r| r.to(health::alive))]),
    ("/health", &[get(|r| r.to(health::alive))]),
    ("/readyz", &[get(|r| r.to(health::ready))]),
];

/// Adds the routes whose paths are of this kind to the application.
pub fn routes(config: &mut ServiceConfig, kind: PathKind) {
    for path in NOT_THERE.iter().filter(|path| PathKind::of(path) == kind) {
        config.service(web::resource([format!("{path}/"), (*path).to_owned()]).to(not_found::<Error>));
    }
    for (path, methods) in ROUTES.iter().filter(|(path, _)| PathKind::of(path) == kind) {
        for resource in resources::<Error>(path, methods.iter()) {
            config.service(resource);
        }
    }
}

/// Parses the id in a path. A path without a number gets 404, like an id that does not exist.
fn id(path: &web::Path<String>) -> Result<i64> {
    path.parse().map_err(|_| Error::NotFound)
}
