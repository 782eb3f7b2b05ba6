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

pub use kit::{Access, PageError, PageMethod, PageRoute, Section};

use actix_web::web::{self, QueryConfig, ServiceConfig};

use Access::{Everybody, Staff, Superusers};
use kit::paths;
use kit::route::{Navigation, count_sections, page, section, sections};

use crate::http::{not_found, resource};

/// The pages: navigation, routes and the tests' expectations come from this table. `{id}` also
/// matches words, so a path with a word stands above the one with `{id}`.
pub const ROUTES: &[PageRoute] = &[
    section("Home", paths::HOME, &[Staff.get(|r| r.to(home::show))]),
    page("/admin/verify/", &[Superusers.post(|r| r.to(home::verify))]),
    page(paths::SEARCH, &[Staff.get(|r| r.to(search::show))]),
    page(
        paths::SIGN_IN,
        &[Everybody.get(|r| r.to(sign_in::show)), Everybody.post(|r| r.to(sign_in::sign_in))],
    ),
    page("/admin/sign-out/", &[Staff.post(|r| r.to(sign_in::sign_out))]),
    page(
        "/admin/first-run/{key}/",
        &[Everybody.get(|r| r.to(sign_in::show_first_run)), Everybody.post(|r| r.to(sign_in::first_run))],
    ),
    page(paths::SETTINGS, &[Staff.get(|r| r.to(settings::show)), Staff.post(|r| r.to(settings::store))]),
    page("/admin/settings/theme/", &[Staff.post(|r| r.to(settings::set_theme))]),
    page("/admin/settings/sign-out-others/", &[Staff.post(|r| r.to(settings::sign_out_others))]),
    page(
        paths::PASSWORD,
        &[Staff.get(|r| r.to(settings::show_password)), Staff.post(|r| r.to(settings::change_password))],
    ),
    section("Users", paths::USERS, &[Staff.get(|r| r.to(users::list))]),
    page(
        paths::ADD_USER,
        &[Superusers.get(|r| r.to(users::show_add)), Superusers.post(|r| r.to(users::add))],
    ),
    page("/admin/users/suggest/", &[Staff.get(|r| r.to(users::suggest))]),
    page("/admin/users/selected/", &[Superusers.post(|r| r.to(bulk::selected_users))]),
    page(paths::ADJUST_USERS, &[Superusers.post(|r| r.to(bulk::adjust))]),
    page("/admin/users/{id}/", &[Staff.get(|r| r.to(users::show))]),
    page(
        "/admin/users/{id}/edit/",
        &[Superusers.get(|r| r.to(users::show_edit)), Superusers.post(|r| r.to(users::edit))],
    ),
    page(
        "/admin/users/{id}/adjust/",
        &[Superusers.get(|r| r.to(users::show_adjust)), Superusers.post(|r| r.to(users::adjust))],
    ),
    page(
        "/admin/users/{id}/password/",
        &[Superusers.get(|r| r.to(users::show_password)), Superusers.post(|r| r.to(users::set_password))],
    ),
    page(
        "/admin/users/{id}/deactivate/",
        &[Superusers.get(|r| r.to(users::show_deactivate)), Superusers.post(|r| r.to(users::deactivate))],
    ),
    page(
        "/admin/users/{id}/reactivate/",
        &[Superusers.get(|r| r.to(users::show_reactivate)), Superusers.post(|r| r.to(users::reactivate))],
    ),
    page(
        "/admin/users/{id}/log-out/",
        &[Superusers.get(|r| r.to(users::show_log_out)), Superusers.post(|r| r.to(users::log_out))],
    ),
    page(
        "/admin/users/{id}/anonymise/",
        &[Superusers.get(|r| r.to(users::show_anonymise)), Superusers.post(|r| r.to(users::anonymise))],
    ),
    page(
        "/admin/users/{id}/limits/",
        &[Superusers.get(|r| r.to(users::show_limits)), Superusers.post(|r| r.to(users::limits))],
    ),
    page("/admin/users/{id}/history/", &[Staff.get(|r| r.to(history::of_user))]),
    section("Chats", paths::CHATS, &[Staff.get(|r| r.to(chats::list))]),
    page("/admin/chats/{id}/", &[Staff.get(|r| r.to(chats::show))]),
    page(
        "/admin/chats/{id}/refund/",
        &[Superusers.get(|r| r.to(chats::show_refund)), Superusers.post(|r| r.to(chats::refund))],
    ),
    page(
        "/admin/chats/{id}/release/",
        &[Superusers.get(|r| r.to(chats::show_release)), Superusers.post(|r| r.to(chats::release))],
    ),
    page("/admin/chats/{id}/history/", &[Staff.get(|r| r.to(history::of_chat))]),
    section("Holds", paths::HOLDS, &[Staff.get(|r| r.to(holds::list))]),
    section("Models", paths::MODELS, &[Staff.get(|r| r.to(models::list))]),
    page(
        "/admin/models/{id}/",
        &[Staff.get(|r| r.to(models::show)), Superusers.post(|r| r.to(models::edit))],
    ),
    page("/admin/models/{id}/history/", &[Staff.get(|r| r.to(history::of_model))]),
    section("Auth tokens", paths::AUTH_TOKENS, &[Staff.get(|r| r.to(auth_tokens::list))]),
    page(
        paths::ADD_AUTH_TOKEN,
        &[Superusers.get(|r| r.to(auth_tokens::show_add)), Superusers.post(|r| r.to(auth_tokens::add))],
    ),
    page("/admin/auth-tokens/selected/", &[Superusers.post(|r| r.to(bulk::selected_tokens))]),
    page(paths::REVOKE_AUTH_TOKENS, &[Superusers.post(|r| r.to(bulk::revoke))]),
    page(
        "/admin/auth-tokens/{id}/",
        &[Staff.get(|r| r.to(auth_tokens::show_edit)), Superusers.post(|r| r.to(auth_tokens::edit))],
    ),
    page(
        "/admin/auth-tokens/{id}/revoke/",
        &[Superusers.get(|r| r.to(auth_tokens::show_revoke)), Superusers.post(|r| r.to(auth_tokens::revoke))],
    ),
    page("/admin/auth-tokens/{id}/history/", &[Staff.get(|r| r.to(history::of_token))]),
    section("Ledger", paths::LEDGER, &[Staff.get(|r| r.to(ledger::list))]),
    section("Bulk operations", paths::BULK_OPERATIONS, &[Staff.get(|r| r.to(bulk::list))]),
    page("/admin/bulk-operations/{id}/", &[Staff.get(|r| r.to(bulk::show))]),
    page("/admin/bulk-operations/{id}/history/", &[Staff.get(|r| r.to(history::of_bulk))]),
    section("History", paths::HISTORY, &[Staff.get(|r| r.to(history::list))]),
];

/// The navigation, in its order.
pub static SECTIONS: [Section; count_sections(ROUTES)] = sections(ROUTES);

/// Adds the panel's routes to the app. Every other path under `/admin/` gets the panel's 404 page.
pub fn routes(config: &mut ServiceConfig) {
    let queries = QueryConfig::default().error_handler(|_, _| PageError::BadQuery.into());
    config.app_data(Navigation { sections: &SECTIONS, routes: ROUTES });
    for PageRoute { path, methods, .. } in ROUTES {
        let methods = methods.iter().map(|method| &method.route);
        let page = resource::<PageError>(path.trim_end_matches('/'), methods);
        config.service(page.app_data(queries.clone()));
    }
    // No other module has routes under this path.
    config.service(web::resource("/admin/{rest:.*}").default_service(web::to(not_found::<PageError>)));
}
