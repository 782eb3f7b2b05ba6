//! The JSON API: one file per resource, and here the table of routes. Each route has its
//! description, of which the document at `/openapi.json` is made.
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
use v1::descriptions;

use crate::error::{Error, Result};
use crate::http::{NOT_THERE, PathKind, Routes, delete, get, not_found, patch, post, resources};

/// The table of routes. The busiest come first, because paths are tried in order.
pub const ROUTES: Routes = &[
    ("/chat", &[post(|r| r.to(chat::create)).described(chat::describe_create)]),
    ("/tokens", &[get(|r| r.to(balance::tokens)).described(balance::describe_tokens)]),
    ("/balance", &[get(|r| r.to(balance::balance)).described(balance::describe_balance)]),
    ("/register", &[post(|r| r.to(register::create)).described(register::describe_create)]),
    ("/login", &[post(|r| r.to(log_in::create)).described(log_in::describe_create)]),
    ("/logout", &[post(|r| r.to(log_out::create)).described(log_out::describe_create)]),
    (
        "/v1/chat/completions",
        &[post(|r| r.to(v1::create::<v1::ChatCompletions>))
            .described(descriptions::chat_completions::describe)],
    ),
    (
        "/v1/completions",
        &[post(|r| r.to(v1::create::<v1::Completions>)).described(descriptions::completions::describe)],
    ),
    (
        "/v1/embeddings",
        &[post(|r| r.to(v1::create::<v1::EmbeddingsOfInputs>)).described(descriptions::embeddings::describe)],
    ),
    (
        "/v1/messages",
        &[post(|r| r.to(v1::create::<v1::Messages>)).described(descriptions::messages::describe)],
    ),
    (
        "/v1/messages/count_tokens",
        &[post(|r| r.to(v1::count_tokens::<v1::Messages>)).described(descriptions::messages::describe_count)],
    ),
    (
        "/v1/responses",
        &[post(|r| r.to(v1::create::<v1::Responses>)).described(descriptions::responses::describe)],
    ),
    (
        "/v1/responses/input_tokens",
        &[post(|r| r.to(v1::count_tokens::<v1::Responses>))
            .described(descriptions::responses::describe_count)],
    ),
    (
        "/v1/responses/{id}",
        &[
            get(|r| r.to(v1::responses::resource::show)).described(descriptions::responses::describe_show),
            delete(|r| r.to(v1::responses::resource::delete))
                .described(descriptions::responses::describe_delete),
        ],
    ),
    (
        "/v1/responses/{id}/input_items",
        &[get(|r| r.to(v1::responses::resource::input_items))
            .described(descriptions::responses::describe_input_items)],
    ),
    ("/v1/models", &[get(|r| r.to(v1::models::list)).described(descriptions::models::describe_list)]),
    // Names of models may contain slashes.
    ("/v1/models/{id:.+}", &[get(|r| r.to(v1::models::show)).described(descriptions::models::describe_show)]),
    (
        "/conversations",
        &[
            get(|r| r.to(conversations::list)).described(conversations::describe_list),
            post(|r| r.to(conversations::create)).described(conversations::describe_create),
        ],
    ),
    (
        "/conversations/{id}",
        &[
            get(|r| r.to(conversations::show)).described(conversations::describe_show),
            patch(|r| r.to(conversations::rename)).described(conversations::describe_rename),
            delete(|r| r.to(conversations::delete)).described(conversations::describe_delete),
        ],
    ),
    ("/me", &[get(|r| r.to(me::show)).described(me::describe_show)]),
    ("/chats", &[get(|r| r.to(chats::list)).described(chats::describe_list)]),
    ("/chats/{id}", &[get(|r| r.to(chats::show)).described(chats::describe_show)]),
    ("/ledger", &[get(|r| r.to(ledger::list)).described(ledger::describe_list)]),
    (
        "/auth-tokens",
        &[
            get(|r| r.to(auth_tokens::list)).described(auth_tokens::describe_list),
            post(|r| r.to(auth_tokens::create)).described(auth_tokens::describe_create),
        ],
    ),
    ("/auth-tokens/{id}", &[delete(|r| r.to(auth_tokens::revoke)).described(auth_tokens::describe_revoke)]),
    ("/password", &[post(|r| r.to(password::change)).described(password::describe_change)]),
    ("/healthz", &[get(|r| r.to(health::alive)).described(health::describe_alive)]),
    ("/health", &[get(|r| r.to(health::alive)).described(health::describe_alive)]),
    ("/readyz", &[get(|r| r.to(health::ready)).described(health::describe_ready)]),
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
