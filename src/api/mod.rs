//! The JSON API: one file a resource, and here the table of routes, in the order in which a client meets them.
//!
//! Every path is served with and without its trailing slash. Another method gets 405 with `Allow`.

mod auth_tokens;
mod balance;
mod body;
mod chat;
mod chats;
mod client;
mod conversations;
mod event_stream;
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

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, Responder, Route, guard};

pub(crate) use crate::client_address::client_of;
pub use body::BodyTimeout;
pub(crate) use body::{BodyReader, MOST_BYTES};
pub(crate) use client::request_id_of;
pub use client::{Https, StrictTransport};
pub use health::Readiness;
pub use large_body::LargeBodies;

use crate::auth::Guest;
use crate::error::{Error, Result};

/// The table of routes. The busiest stands first, since they are tried in turn.
pub fn routes(config: &mut ServiceConfig) {
    resource(config, "/chat", vec![post(chat::create)]);
    resource(config, "/tokens", vec![get(balance::tokens)]);
    resource(config, "/balance", vec![get(balance::balance)]);
    resource(config, "/register", vec![post(register::create)]);
    resource(config, "/login", vec![post(log_in::create)]);
    resource(config, "/logout", vec![post(log_out::create)]);
    resource(config, "/v1/chat/completions", vec![post(v1::completions::create)]);
    resource(config, "/v1/models", vec![get(v1::models::list)]);
    // Names of models may have slashes in them.
    resource(config, "/v1/models/{id:.+}", vec![get(v1::models::show)]);
    resource(config, "/conversations", vec![get(conversations::list), post(conversations::create)]);
    let of_one = vec![get(conversations::show), patch(conversations::rename), delete(conversations::delete)];
    resource(config, "/conversations/{id}", of_one);
    resource(config, "/me", vec![get(me::show)]);
    resource(config, "/chats", vec![get(chats::list)]);
    resource(config, "/chats/{id}", vec![get(chats::show)]);
    resource(config, "/ledger", vec![get(ledger::list)]);
    resource(config, "/auth-tokens", vec![get(auth_tokens::list), post(auth_tokens::create)]);
    resource(config, "/auth-tokens/{id}", vec![delete(auth_tokens::revoke)]);
    resource(config, "/password", vec![post(password::change)]);
    resource(config, "/healthz", vec![get(health::alive)]);
    resource(config, "/readyz", vec![get(health::ready)]);
}

/// A route and the methods that it serves, for `Allow`.
pub(crate) struct MethodRoute {
    methods: &'static str,
    route: Route,
}

pub(crate) fn get<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let get_or_head = guard::Any(guard::Get()).or(guard::Head());
    MethodRoute { methods: "GET, HEAD", route: web::route().guard(get_or_head).to(handler) }
}

fn post<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    MethodRoute { methods: "POST", route: web::method(Method::POST).to(handler) }
}

fn patch<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    MethodRoute { methods: "PATCH", route: web::method(Method::PATCH).to(handler) }
}

fn delete<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    MethodRoute { methods: "DELETE", route: web::method(Method::DELETE).to(handler) }
}

/// One path, with and without its slash.
pub(crate) fn resource(config: &mut ServiceConfig, path: &str, routes: Vec<MethodRoute>) {
    let allow = routes.iter().map(|route| route.methods).collect::<Vec<_>>().join(", ");
    let refuse = move |_: Guest| {
        let allow = allow.clone();
        async move { Err::<&'static str, Error>(Error::MethodNotAllowed(allow)) }
    };
    let mut resource = web::resource([format!("{path}/"), path.to_owned()]);
    for route in routes {
        resource = resource.route(route.route);
    }
    config.service(resource.default_service(web::to(refuse)));
}

/// What a path that is in no table gets.
pub async fn not_found(_: Guest) -> Result<&'static str> {
    Err(Error::NotFound)
}

/// The id in a path; a path without a number names nothing.
fn id(path: &web::Path<String>) -> Result<i64> {
    path.parse().map_err(|_| Error::NotFound)
}
