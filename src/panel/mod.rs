//! The panel at `/admin/`: one file or folder for each group of pages, the table of routes, and the [`kit`] that
//! pages are made of.
//!
//! A handler takes [`kit::administrator::Administrator`] to show something and [`kit::administrator::Superuser`] to change it,
//! and reads a body only as a [`kit::form::Form`], which checks that it comes from a page of ours.

mod auth_tokens;
mod bulk;
mod chats;
mod history;
mod holds;
mod home;
mod kit;
mod ledger;
mod models;
mod search;
mod settings;
mod sign_in;
mod users;

pub use kit::{PageError, PublicOrigin, SiteTitle};
pub use models::ModelSettings;
pub use users::UserLimitDefaults;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route, guard};

use crate::auth::Guest;
use crate::error::Error;

/// The table of routes, below `/admin`.
pub fn routes(config: &mut ServiceConfig) {
    resource(config, "/admin", vec![get(home::show)]);
    resource(config, "/admin/verify", vec![post(home::verify)]);
    resource(config, "/admin/search", vec![get(search::show)]);
    resource(config, "/admin/sign-in", vec![get(sign_in::show), post(sign_in::sign_in)]);
    resource(config, "/admin/sign-out", vec![post(sign_in::sign_out)]);
    resource(config, "/admin/first-run/{key}", vec![get(sign_in::show_first_run), post(sign_in::first_run)]);
    resource(config, "/admin/settings", vec![get(settings::show), post(settings::store)]);
    resource(config, "/admin/settings/theme", vec![post(settings::set_theme)]);
    resource(config, "/admin/settings/sign-out-others", vec![post(settings::sign_out_others)]);
    resource(config, "/admin/password", vec![get(settings::show_password), post(settings::change_password)]);
    routes_of_users(config);
    routes_of_chats(config);
    // The rest of the panel is nowhere else.
    config.service(web::resource("/admin/{rest:.*}").default_service(web::to(not_found)));
}

fn routes_of_users(config: &mut ServiceConfig) {
    resource(config, "/admin/users", vec![get(users::list)]);
    resource(config, "/admin/users/add", vec![get(users::show_add), post(users::add)]);
    resource(config, "/admin/users/suggest", vec![get(users::suggest)]);
    resource(config, "/admin/users/selected", vec![post(bulk::selected_users)]);
    resource(config, "/admin/users/bulk-adjust", vec![post(bulk::adjust)]);
    resource(config, "/admin/users/{id}", vec![get(users::show)]);
    resource(config, "/admin/users/{id}/edit", vec![get(users::show_edit), post(users::edit)]);
    resource(config, "/admin/users/{id}/adjust", vec![get(users::show_adjust), post(users::adjust)]);
    resource(
        config,
        "/admin/users/{id}/password",
        vec![get(users::show_password), post(users::set_password)],
    );
    resource(
        config,
        "/admin/users/{id}/deactivate",
        vec![get(users::show_deactivate), post(users::deactivate)],
    );
    resource(
        config,
        "/admin/users/{id}/reactivate",
        vec![get(users::show_reactivate), post(users::reactivate)],
    );
    resource(config, "/admin/users/{id}/log-out", vec![get(users::show_log_out), post(users::log_out)]);
    resource(config, "/admin/users/{id}/anonymise", vec![get(users::show_anonymise), post(users::anonymise)]);
    resource(config, "/admin/users/{id}/limits", vec![get(users::show_limits), post(users::limits)]);
    resource(config, "/admin/users/{id}/history", vec![get(history::of_user)]);
    resource(config, "/admin/auth-tokens", vec![get(auth_tokens::list)]);
    resource(config, "/admin/auth-tokens/add", vec![get(auth_tokens::show_add), post(auth_tokens::add)]);
    resource(config, "/admin/auth-tokens/selected", vec![post(bulk::selected_tokens)]);
    resource(config, "/admin/auth-tokens/bulk-revoke", vec![post(bulk::revoke)]);
    resource(config, "/admin/auth-tokens/{id}", vec![get(auth_tokens::show_edit), post(auth_tokens::edit)]);
    let revoke = vec![get(auth_tokens::show_revoke), post(auth_tokens::revoke)];
    resource(config, "/admin/auth-tokens/{id}/revoke", revoke);
    resource(config, "/admin/auth-tokens/{id}/history", vec![get(history::of_token)]);
}

fn routes_of_chats(config: &mut ServiceConfig) {
    resource(config, "/admin/chats", vec![get(chats::list)]);
    resource(config, "/admin/chats/{id}", vec![get(chats::show)]);
    resource(config, "/admin/chats/{id}/refund", vec![get(chats::show_refund), post(chats::refund)]);
    resource(config, "/admin/chats/{id}/release", vec![get(chats::show_release), post(chats::release)]);
    resource(config, "/admin/chats/{id}/history", vec![get(history::of_chat)]);
    resource(config, "/admin/holds", vec![get(holds::list)]);
    resource(config, "/admin/models", vec![get(models::list)]);
    resource(config, "/admin/models/{id}", vec![get(models::show), post(models::edit)]);
    resource(config, "/admin/models/{id}/history", vec![get(history::of_model)]);
    resource(config, "/admin/ledger", vec![get(ledger::list)]);
    resource(config, "/admin/bulk-operations", vec![get(bulk::list)]);
    resource(config, "/admin/bulk-operations/{id}", vec![get(bulk::show)]);
    resource(config, "/admin/bulk-operations/{id}/history", vec![get(history::of_bulk)]);
    resource(config, "/admin/history", vec![get(history::list)]);
}

struct MethodRoute(&'static str, Route);

fn get<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let get_or_head = guard::Any(guard::Get()).or(guard::Head());
    MethodRoute("GET, HEAD", web::route().guard(get_or_head).to(handler))
}

fn post<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    MethodRoute("POST", web::method(Method::POST).to(handler))
}

/// One path, with and without its slash; another method gets 405 with `Allow`.
fn resource(config: &mut ServiceConfig, path: &str, routes: Vec<MethodRoute>) {
    let allow = routes.iter().map(|route| route.0).collect::<Vec<_>>().join(", ");
    let refuse = move |guest: Result<Guest, Error>| {
        let allow = allow.clone();
        async move { Err::<&'static str, PageError>(guest.err().unwrap_or(Error::MethodNotAllowed(allow)).into()) }
    };
    let mut resource = web::resource([format!("{path}/"), path.to_owned()]);
    for route in routes {
        resource = resource.route(route.1);
    }
    let queries = web::QueryConfig::default().error_handler(|_, _| PageError::BadQuery.into());
    config.service(resource.app_data(queries).default_service(web::to(refuse)));
}

async fn not_found(guest: Result<Guest, Error>) -> Result<&'static str, PageError> {
    Err(guest.err().unwrap_or(Error::NotFound).into())
}
