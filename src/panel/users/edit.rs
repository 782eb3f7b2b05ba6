//! Editing a user's name and rights. When two administrators edit at once, the second one sees the
//! changes of the first, field by field.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;

use super::add::rights;
use super::find;
use crate::administration::{Edited, edit_user};
use crate::auth::Auth;
use crate::domain::{Invalid, Username};
use crate::error::Result;
use crate::models::{Editable, User, UserChanges};
use crate::panel::kit::From;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{optional_reason, optional_reason_field};
use crate::panel::kit::confirm::{confirm, own_password_field};
use crate::panel::kit::edit::{Conflict, EditView, saved};
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, back_to, id};

#[derive(Template)]
#[template(path = "admin/edit_user.html")]
struct EditPage {
    frame: Frame,
    form: FormView,
    conflicts: Vec<Conflict>,
}

fn answer(administrator: &Superuser, user: &User, view: EditView) -> Result<HttpResponse, PageError> {
    let here = paths::user(user.id);
    let way =
        [Crumb::new("Users", paths::USERS), Crumb::new(&user.username, &here), Crumb::here("Edit user")];
    let title = titled("Edit user", &user.username);
    let frame = Frame { title, ..Frame::new(&administrator.0, &way) };
    // The administrator's own name, since the form may ask for the administrator's own password.
    let form = view.form.account(&administrator.0.user.username);
    let form = if view.conflicts.is_empty() { form.alone() } else { form };
    page_with(view.status, &EditPage { frame, form, conflicts: view.conflicts }).map_err(PageError::from)
}

fn form(user: &User, list: &str) -> FormView {
    let (algorithm, masked) = shown_password(&user.password);
    let mut fields = rights(user.is_staff, user.is_superuser);
    fields.insert(
        0,
        Field::new("active", "Active", Kind::Tick)
            .ticked(user.is_active)
            .help("Off: can't log in or chat, and all auth tokens and sessions end."),
    );
    fields.push(own_password_field("Required only to give somebody rights."));
    fields.push(optional_reason_field());
    FormView::default()
        .hide("version", user.version.to_string())
        .hide("list", list)
        .group(
            "Account",
            "",
            vec![
                Field::new("username", "Username", Kind::Plain)
                    .value(&user.username)
                    .required()
                    .most(50)
                    .help("Letters of one script, digits and @ . + - _, up to 50 characters."),
                Field::new("hash", "Password", Kind::ReadOnly)
                    .value(format!("{algorithm}: {masked}"))
                    .help("Only a hash is stored. To change it, use Set password."),
            ],
        )
        .group("Rights", "", fields)
        .button("", "Save")
        .button("continue", "Save and continue")
        .button("another", "Save and add another")
        .cancel(paths::user(user.id))
}

/// Returns the algorithm of a password's hash, and enough characters of the hash to tell it from
/// another.
fn shown_password(hash: &str) -> (String, String) {
    match hash.split_once('$') {
        Some((algorithm, rest)) if !algorithm.is_empty() => {
            let setting: String = rest.trim_start_matches('$').chars().take(6).collect();
            (algorithm.to_owned(), format!("{setting}…"))
        }
        _ => ("unusable".to_owned(), "nobody can log in with a password".to_owned()),
    }
}

/// Shows the form (`GET /admin/users/{id}/edit/`).
pub(in crate::panel) async fn show_edit(
    administrator: Superuser,
    place: Path<String>,
    from: Query<From>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    answer(&administrator, &user, EditView::new(form(&user, &from.list)))
}

/// Stores the form (`POST /admin/users/{id}/edit/`). Giving rights requires the administrator's own
/// password.
pub(in crate::panel) async fn edit(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let again = |faults: &[Invalid]| {
        let form = form(&user, sent.text("list"));
        answer(&administrator, &user, EditView::faulty(form, &sent, faults))
    };
    let gives_rights = (sent.has("staff") && !user.is_staff) || (sent.has("superuser") && !user.is_superuser);
    let unconfirmed = if gives_rights { confirm(&administrator.0, &sent, &auth).await? } else { None };
    let (username, reason) = match (username(&sent, &user), optional_reason(&sent), unconfirmed) {
        (Ok(username), Ok(reason), None) => (username, reason),
        (username, reason, unconfirmed) => {
            let faults = username.err().into_iter().chain(reason.err()).chain(unconfirmed);
            return again(&faults.collect::<Vec<_>>());
        }
    };
    let wanted = UserChanges {
        is_active: sent.has("active"),
        is_staff: sent.has("staff"),
        is_superuser: sent.has("superuser"),
        ..UserChanges::of(&user).named(&username)
    };
    let actor = administrator.0.actor();
    match edit_user(&auth.db, &actor, user.id, sent.version(), wanted.clone(), &reason).await? {
        Edited::Done(changes) => {
            let done = format!("Saved {}.", sent.text("username"));
            let message = saved(&changes, done).link("Show the user", paths::user(user.id));
            administrator.0.leave_message(&auth, message).await?;
            Ok(go(&match (sent.has("another"), sent.has("continue")) {
                (true, _) => paths::ADD_USER.to_owned(),
                (_, true) => paths::edit_user(user.id),
                _ => back_to(paths::USERS, sent.text("list")).unwrap_or_else(|| paths::user(user.id)),
            }))
        }
        Edited::Conflict(stored) => {
            let form = form(&stored, sent.text("list"));
            let view = EditView::conflict(form, &sent, &*stored, &wanted, administrator.0.zone);
            answer(&administrator, &stored, view)
        }
        Edited::Refused(fault) => again(&[fault]),
        Edited::Gone => Err(PageError::Missing("user", paths::USERS)),
    }
}

/// Parses the name, unless it is unchanged: an imported name need not obey the rules for new ones.
fn username(sent: &Form, user: &User) -> Result<Username, Invalid> {
    let text = sent.text("username");
    if text == user.username {
        Ok(Username::stored(&user.username, &user.username_canonical))
    } else {
        Username::parse(text)
    }
}
