//! A user's own limits: showing, setting and clearing them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;

use super::find;
use crate::administration::{Edited, MOST_LIMIT, set_limits, whole_number};
use crate::auth::Auth;
use crate::domain::Invalid;
use crate::error::Result;
use crate::http::Site;
use crate::models::{User, UserLimits};
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::edit::{Conflict, EditView, saved};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::UndoForm;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, format, id};

#[derive(Template)]
#[template(path = "admin/edit_user.html")]
struct LimitsPage {
    frame: Frame,
    form: FormView,
    conflicts: Vec<Conflict>,
}

/// The name and the label of the limit of simultaneous chats.
pub(in crate::panel) const CHATS_AT_ONCE: (&str, &str) = ("concurrent_chats", "Chats at once");
/// The name and the label of the limit of messages a minute.
pub(in crate::panel) const REQUESTS_A_MINUTE: (&str, &str) = ("requests_per_minute", "Requests a minute");

/// The limits in force, for the user's page.
pub(super) fn facts(user: &User, site: &Site) -> Vec<Fact> {
    vec![
        Fact::new(CHATS_AT_ONCE.1, Cell::Text(in_words(user.concurrent_chats, site.concurrent_chats))),
        Fact::new(
            REQUESTS_A_MINUTE.1,
            Cell::Text(in_words(user.requests_per_minute, site.requests_per_minute)),
        ),
    ]
}

/// The most chats that a user may have at once.
pub(super) fn concurrent_chats(user: &User, site: &Site) -> i64 {
    user.concurrent_chats.unwrap_or(site.concurrent_chats)
}

/// The most messages that a user may send in a minute.
pub(super) fn requests_per_minute(user: &User, site: &Site) -> i64 {
    user.requests_per_minute.unwrap_or(site.requests_per_minute)
}

fn in_words(own: Option<i64>, default: i64) -> String {
    match own {
        None => format!("{} (default)", format::tokens(default)),
        Some(0) => format!("0: none allowed (default: {})", format::tokens(default)),
        Some(own) => format!("{} (default: {})", format::tokens(own), format::tokens(default)),
    }
}

fn form(user: &User) -> FormView {
    let field = |(name, label): (&'static str, &'static str), own: Option<i64>| {
        let value = own.map(|limit| limit.to_string()).unwrap_or_default();
        Field::new(name, label, Kind::Amount).value(value).most(30)
    };
    FormView::default()
        .hide("version", user.version.to_string())
        .group(
            "",
            "0 to 1,000,000; 0 allows none. Empty: the server's default.",
            vec![
                field(CHATS_AT_ONCE, user.concurrent_chats)
                    .help("Pending at the same time, on all nodes together."),
                field(REQUESTS_A_MINUTE, user.requests_per_minute)
                    .help("Messages to each node. Takes effect within 10 seconds."),
            ],
        )
        .button("", "Save")
        .cancel(paths::user(user.id))
}

fn answer(administrator: &Superuser, user: &User, view: EditView) -> Result<HttpResponse, PageError> {
    let here = paths::user(user.id);
    let way = [
        Crumb::new("Users", paths::USERS),
        Crumb::new(user.username.as_str(), here.as_str()),
        Crumb::here("Limits"),
    ];
    let title = titled("Limits", &user.username);
    let frame = Frame { title, ..Frame::new(&administrator.0, &way) };
    let form = if view.conflicts.is_empty() { view.form.alone() } else { view.form };
    page_with(view.status, &LimitsPage { frame, form, conflicts: view.conflicts }).map_err(PageError::from)
}

/// Shows the form (`GET /admin/users/{id}/limits/`).
pub(in crate::panel) async fn show_limits(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    answer(&administrator, &user, EditView::new(form(&user)))
}

fn parse(sent: &Form) -> Result<UserLimits, Vec<Invalid>> {
    let mut faults = Vec::new();
    let mut read = |name: &'static str| match sent.text(name) {
        "" => None,
        text => {
            let limit = whole_number(text).filter(|limit| *limit <= MOST_LIMIT);
            if limit.is_none() {
                let reason = "enter a whole number from 0 to 1,000,000, or leave it empty for the default";
                faults.push(Invalid::new(name, reason));
            }
            limit
        }
    };
    let limits = UserLimits {
        concurrent_chats: read(CHATS_AT_ONCE.0),
        requests_per_minute: read(REQUESTS_A_MINUTE.0),
    };
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

/// Stores the form (`POST /admin/users/{id}/limits/`). An empty field clears a limit.
pub(in crate::panel) async fn limits(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let again =
        |faults: &[Invalid]| answer(&administrator, &user, EditView::faulty(form(&user), &sent, faults));
    let wanted = match parse(&sent) {
        Ok(wanted) => wanted,
        Err(faults) => return again(&faults),
    };
    match set_limits(&auth.db, &administrator.0.actor(), user.id, sent.version(), wanted).await? {
        Edited::Done(changes) => {
            let done = format!("Saved the limits of {}.", user.username);
            let message = saved(&changes, done);
            let is_changed = !changes.is_empty();
            let message = if is_changed { message.undo(undo(&user, sent.version())) } else { message };
            administrator.0.leave_message(&auth, message).await?;
            Ok(go(&paths::user(user.id)))
        }
        Edited::Conflict(stored) => {
            let view = EditView::conflict(form(&stored), &sent, &*stored, &wanted, administrator.0.zone);
            answer(&administrator, &stored, view)
        }
        Edited::Refused(fault) => again(&[fault]),
        Edited::Gone => Err(PageError::Missing("user", paths::USERS)),
    }
}

/// The form that returns to the limits of before, if nobody changes the user in the meantime.
fn undo(before: &User, version: i64) -> UndoForm {
    let limit = |own: Option<i64>| own.map(|limit| limit.to_string()).unwrap_or_default();
    let version = (version + 1).to_string();
    let (chats, requests) = (limit(before.concurrent_chats), limit(before.requests_per_minute));
    let fields = [
        ("version", version.as_str()),
        (CHATS_AT_ONCE.0, chats.as_str()),
        (REQUESTS_A_MINUTE.0, requests.as_str()),
    ];
    UndoForm::new(paths::limits(before.id), &fields)
}
