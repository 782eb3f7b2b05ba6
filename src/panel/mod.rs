//! The panel at `/admin/`: one file or folder for each group of pages, the table of routes, and the
//! [`kit`] that pages are made of.
//!
//! A handler takes [`Administrator`](kit::administrator::Administrator) to show something and
//! [`Superuser`](kit::administrator::Superuser) to change it. It reads a body only as a
//! [`Form`](kit::form::Form), which checks that the body comes from one of the panel's own pages.

mod auth_tokens;
mod backups;
mod bulk;
mod chats;
mod error_page;
mod history;
mod holds;
mod home;
mod kit;
mod ledger;
mod models;
mod returned_form;
mod search;
mod settings;
mod sign_in;
mod statement;
mod users;
mod views;

pub use error_page::error_page;
pub use kit::{Access, PageError, PageMethod, PageRoute, Section, Shortcut};

use actix_web::web::{self, QueryConfig, ServiceConfig};

use Access::{Everybody, Staff, Superusers};
use kit::paths;
use kit::route::{Navigation, count_sections, page, section, sections};

use crate::http::{PathKind, not_found, resources};

/// The pages: navigation, routes and the tests' expectations come from this table. `{id}` also
/// matches words, so a path with a word stands above the one with `{id}`.
pub const ROUTES: &[PageRoute] = &[
    section("Home", paths::HOME, &[Staff.get(|r| r.to(home::show))]),
    page("/admin/verify/", &[Superusers.post(|r| r.to(home::verify))]),
    page(paths::SEARCH, &[Staff.get(|r| r.to(search::show)), Staff.post(|r| r.to(search::send))]),
    page(
        paths::SIGN_IN,
        &[Everybody.get(|r| r.to(sign_in::show)), Everybody.post(|r| r.to(sign_in::sign_in))],
    ),
    page(paths::SIGN_OUT, &[Staff.post(|r| r.to(sign_in::sign_out))]),
    page(
        "/admin/first-run/{key}/",
        &[Everybody.get(|r| r.to(sign_in::show_first_run)), Everybody.post(|r| r.to(sign_in::first_run))],
    ),
    section(
        "Settings",
        paths::SETTINGS,
        &[Staff.get(|r| r.to(settings::show)), Staff.post(|r| r.to(settings::store))],
    ),
    page("/admin/settings/theme/", &[Staff.post(|r| r.to(settings::set_theme))]),
    page("/admin/settings/sign-out-others/", &[Staff.post(|r| r.to(settings::sign_out_others))]),
    page(
        paths::PASSWORD,
        &[Staff.get(|r| r.to(settings::show_password)), Staff.post(|r| r.to(settings::change_password))],
    ),
    page("/admin/columns/", &[Staff.post(|r| r.to(views::choose_columns))]),
    page("/admin/views/", &[Staff.post(|r| r.to(views::save))]),
    page("/admin/views/{id}/delete/", &[Staff.post(|r| r.to(views::delete))]),
    section("Users", paths::USERS, &[Staff.get(|r| r.to(users::list))]),
    page(
        paths::ADD_USER,
        &[Superusers.get(|r| r.to(users::show_add)), Superusers.post(|r| r.to(users::add))],
    ),
    page("/admin/users/suggest/", &[Staff.get(|r| r.to(users::suggest))]),
    page("/admin/users/selected/", &[Superusers.post(|r| r.to(bulk::selected::<bulk::users::Actions>))]),
    page(paths::BULK_USERS, &[Superusers.post(|r| r.to(bulk::start::<bulk::users::Actions>))]),
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
    page("/admin/users/{id}/undo/", &[Superusers.post(|r| r.to(users::undo))]),
    page("/admin/users/{id}/history/", &[Staff.get(|r| r.to(history::of_user))]),
    section("Chats", paths::CHATS, &[Staff.get(|r| r.to(chats::list))]),
    page("/admin/chats/selected/", &[Superusers.post(|r| r.to(bulk::selected::<bulk::chats::Actions>))]),
    page(paths::BULK_CHATS, &[Superusers.post(|r| r.to(bulk::start::<bulk::chats::Actions>))]),
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
    page("/admin/holds/selected/", &[Superusers.post(|r| r.to(bulk::selected::<bulk::holds::Actions>))]),
    page(paths::BULK_HOLDS, &[Superusers.post(|r| r.to(bulk::start::<bulk::holds::Actions>))]),
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
    page(
        "/admin/auth-tokens/selected/",
        &[Superusers.post(|r| r.to(bulk::selected::<bulk::auth_tokens::Actions>))],
    ),
    page(paths::BULK_AUTH_TOKENS, &[Superusers.post(|r| r.to(bulk::start::<bulk::auth_tokens::Actions>))]),
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
    page(
        "/admin/bulk-operations/{id}/undo/",
        &[Superusers.get(|r| r.to(bulk::show_undo)), Superusers.post(|r| r.to(bulk::undo))],
    ),
    page("/admin/bulk-operations/{id}/history/", &[Staff.get(|r| r.to(history::of_bulk))]),
    section("Backups", paths::BACKUPS, &[Staff.get(|r| r.to(backups::show))]),
    page("/admin/backups/start/", &[Superusers.post(|r| r.to(backups::start))]),
    page("/admin/backups/download/", &[Superusers.post(|r| r.to(backups::download))]),
    section("History", paths::HISTORY, &[Staff.get(|r| r.to(history::list))]),
];

/// Returns all shortcuts of one key, and of two keys one after the other.
pub fn shortcuts() -> Vec<Shortcut> {
    kit::shortcuts(&SECTIONS)
}

/// The sections. `kit::menu` has their order and their groups.
pub static SECTIONS: [Section; count_sections(ROUTES)] = sections(ROUTES);

/// Adds the panel's routes whose paths are of this kind to the app. Every other path under
/// `/admin/` gets the panel's 404 page.
pub fn routes(config: &mut ServiceConfig, kind: PathKind) {
    let queries = QueryConfig::default().error_handler(|_, _| PageError::BadQuery.into());
    for PageRoute { path, methods, .. } in ROUTES.iter().filter(|page| PathKind::of(page.path) == kind) {
        let methods = methods.iter().map(|method| &method.route);
        for page in resources::<PageError>(path.trim_end_matches('/'), methods) {
            config.service(page.app_data(queries.clone()));
        }
    }
    if kind == PathKind::WithParameters {
        config.app_data(Navigation { sections: &SECTIONS, routes: ROUTES });
        // No other module has routes under this path.
        config.service(web::resource("/admin/{rest:.*}").default_service(web::to(not_found::<PageError>)));
    }
}
