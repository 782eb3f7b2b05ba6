//! The panel at `/admin/`: one file or folder for each group of pages, the table of routes, and the
//! [`kit`] that pages are made of.
//!
//! A handler takes [`Administrator`](kit::administrator::Administrator) to show something and
//! [`Superuser`](kit::administrator::Superuser) to change it. It reads a body only as a
//! [`Form`](kit::form::Form), which checks that the body comes from one of the panel's own pages.

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

pub use kit::{PageError, SECTIONS, Section};

use actix_web::web::{self, QueryConfig, ServiceConfig};

use crate::http::{Routes, get, not_found, post, resource};

/// The table of routes. `{id}` also matches words, so a path with a word is above the one with
/// `{id}`.
pub const ROUTES: Routes = &[
    ("/admin", &[get(|r| r.to(home::show))]),
    ("/admin/verify", &[post(|r| r.to(home::verify))]),
    ("/admin/search", &[get(|r| r.to(search::show))]),
    ("/admin/sign-in", &[get(|r| r.to(sign_in::show)), post(|r| r.to(sign_in::sign_in))]),
    ("/admin/sign-out", &[post(|r| r.to(sign_in::sign_out))]),
    ("/admin/first-run/{key}", &[get(|r| r.to(sign_in::show_first_run)), post(|r| r.to(sign_in::first_run))]),
    ("/admin/settings", &[get(|r| r.to(settings::show)), post(|r| r.to(settings::store))]),
    ("/admin/settings/theme", &[post(|r| r.to(settings::set_theme))]),
    ("/admin/settings/sign-out-others", &[post(|r| r.to(settings::sign_out_others))]),
    ("/admin/password", &[get(|r| r.to(settings::show_password)), post(|r| r.to(settings::change_password))]),
    ("/admin/users", &[get(|r| r.to(users::list))]),
    ("/admin/users/add", &[get(|r| r.to(users::show_add)), post(|r| r.to(users::add))]),
    ("/admin/users/suggest", &[get(|r| r.to(users::suggest))]),
    ("/admin/users/selected", &[post(|r| r.to(bulk::selected_users))]),
    ("/admin/users/bulk-adjust", &[post(|r| r.to(bulk::adjust))]),
    ("/admin/users/{id}", &[get(|r| r.to(users::show))]),
    ("/admin/users/{id}/edit", &[get(|r| r.to(users::show_edit)), post(|r| r.to(users::edit))]),
    ("/admin/users/{id}/adjust", &[get(|r| r.to(users::show_adjust)), post(|r| r.to(users::adjust))]),
    (
        "/admin/users/{id}/password",
        &[get(|r| r.to(users::show_password)), post(|r| r.to(users::set_password))],
    ),
    (
        "/admin/users/{id}/deactivate",
        &[get(|r| r.to(users::show_deactivate)), post(|r| r.to(users::deactivate))],
    ),
    (
        "/admin/users/{id}/reactivate",
        &[get(|r| r.to(users::show_reactivate)), post(|r| r.to(users::reactivate))],
    ),
    ("/admin/users/{id}/log-out", &[get(|r| r.to(users::show_log_out)), post(|r| r.to(users::log_out))]),
    (
        "/admin/users/{id}/anonymise",
        &[get(|r| r.to(users::show_anonymise)), post(|r| r.to(users::anonymise))],
    ),
    ("/admin/users/{id}/limits", &[get(|r| r.to(users::show_limits)), post(|r| r.to(users::limits))]),
    ("/admin/users/{id}/history", &[get(|r| r.to(history::of_user))]),
    ("/admin/auth-tokens", &[get(|r| r.to(auth_tokens::list))]),
    ("/admin/auth-tokens/add", &[get(|r| r.to(auth_tokens::show_add)), post(|r| r.to(auth_tokens::add))]),
    ("/admin/auth-tokens/selected", &[post(|r| r.to(bulk::selected_tokens))]),
    ("/admin/auth-tokens/bulk-revoke", &[post(|r| r.to(bulk::revoke))]),
    ("/admin/auth-tokens/{id}", &[get(|r| r.to(auth_tokens::show_edit)), post(|r| r.to(auth_tokens::edit))]),
    (
        "/admin/auth-tokens/{id}/revoke",
        &[get(|r| r.to(auth_tokens::show_revoke)), post(|r| r.to(auth_tokens::revoke))],
    ),
    ("/admin/auth-tokens/{id}/history", &[get(|r| r.to(history::of_token))]),
    ("/admin/chats", &[get(|r| r.to(chats::list))]),
    ("/admin/chats/{id}", &[get(|r| r.to(chats::show))]),
    ("/admin/chats/{id}/refund", &[get(|r| r.to(chats::show_refund)), post(|r| r.to(chats::refund))]),
    ("/admin/chats/{id}/release", &[get(|r| r.to(chats::show_release)), post(|r| r.to(chats::release))]),
    ("/admin/chats/{id}/history", &[get(|r| r.to(history::of_chat))]),
    ("/admin/holds", &[get(|r| r.to(holds::list))]),
    ("/admin/models", &[get(|r| r.to(models::list))]),
    ("/admin/models/{id}", &[get(|r| r.to(models::show)), post(|r| r.to(models::edit))]),
    ("/admin/models/{id}/history", &[get(|r| r.to(history::of_model))]),
    ("/admin/ledger", &[get(|r| r.to(ledger::list))]),
    ("/admin/bulk-operations", &[get(|r| r.to(bulk::list))]),
    ("/admin/bulk-operations/{id}", &[get(|r| r.to(bulk::show))]),
    ("/admin/bulk-operations/{id}/history", &[get(|r| r.to(history::of_bulk))]),
    ("/admin/history", &[get(|r| r.to(history::list))]),
];

pub fn routes(config: &mut ServiceConfig) {
    let queries = QueryConfig::default().error_handler(|_, _| PageError::BadQuery.into());
    for (path, methods) in ROUTES {
        config.service(resource::<PageError>(path, methods).app_data(queries.clone()));
    }
    // The rest of the panel is nowhere else.
    config.service(web::resource("/admin/{rest:.*}").default_service(web::to(not_found::<PageError>)));
}
