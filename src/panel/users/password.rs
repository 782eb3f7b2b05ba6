//! Setting a user's password. This ends all auth tokens and sessions, which the old password
//! opened.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::find;
use crate::auth::{self, Auth, Keep};
use crate::domain::{Invalid, NewPassword, OperationId, is_same_password};
use crate::models::User;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{PASSWORDS_DIFFER, password_fields};
use crate::panel::kit::confirm::{confirm, has_rights, own_password_field};
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, id};

fn form(user: &User) -> FormView {
    let mut fields = password_fields(false);
    fields.push(
        Field::new("unusable", "Disable password login", Kind::Tick)
            .help("Auth tokens that you make for the user still work."),
    );
    if has_rights(user) {
        fields.push(own_password_field("Required because this user may sign in to the panel.").required());
    }
    let form = FormView::default().account(&user.username).group("", "", fields);
    form.button("", "Set password").cancel(paths::user(user.id))
}

/// Returns a hash that no password matches, in Django's format: `!` and random characters.
fn unusable_hash() -> String {
    format!("!{}", OperationId::generate().to_text())
}

fn page(administrator: &Superuser, user: &User, form: FormView) -> VerbPage {
    let here = paths::user(user.id);
    let way = [
        Crumb::new("Users", paths::USERS),
        Crumb::new(user.username.as_str(), here.as_str()),
        Crumb::here("Set password"),
    ];
    let title = titled("Set password", &user.username);
    VerbPage::new(Frame { title, ..Frame::new(&administrator.0, &way) }, form).note(
        "Ends the user's auth tokens and sessions. Give the new password to the user in \
               person.",
    )
}

/// Shows the form (`GET /admin/users/{id}/password/`). For one's own password it leads to the page
/// that asks for the old one.
pub(in crate::panel) async fn show_password(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    if user.id == administrator.0.user.id {
        return Ok(administrator.0.pass_on(&auth, paths::PASSWORD).await?);
    }
    page(&administrator, &user, form(&user)).show()
}

/// Reads the new password. `None` if nobody is to log in with a password any more.
///
/// # Errors
///
/// Returns every fault of the fields.
fn parse(sent: &Form, user: &User) -> Result<Option<NewPassword>, Vec<Invalid>> {
    let given = sent.raw("password");
    if sent.has("unusable") {
        let fault = || vec![Invalid::new("unusable", "leave the password empty, or untick this")];
        return if given.is_empty() { Ok(None) } else { Err(fault()) };
    }
    let differs =
        (!is_same_password(given, sent.raw("again"))).then(|| Invalid::new("again", PASSWORDS_DIFFER));
    let new = auth::parse_new_password(given, user);
    match (new, differs) {
        (Ok(new), None) => Ok(Some(new)),
        (new, differs) => {
            let new = new.err().map(|fault| Invalid::new("password", fault.reason));
            Err(new.into_iter().chain(differs).collect())
        }
    }
}

/// Sets the password (`POST /admin/users/{id}/password/`).
pub(in crate::panel) async fn set_password(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    if user.id == administrator.0.user.id {
        let text = "Nothing was changed. Change your own password here; this requires the old one.";
        administrator.0.leave_message(&auth, Message::warning(text)).await?;
        return Ok(go(paths::PASSWORD));
    }
    let again =
        |faults: &[Invalid]| page(&administrator, &user, form(&user).refill(&sent).blame(faults)).show();
    let mut faults = Vec::new();
    let new = parse(&sent, &user).map_err(|wrong| faults.extend(wrong));
    if has_rights(&user) {
        faults.extend(confirm(&administrator.0, &sent, &auth).await?);
    }
    let new = match new {
        Ok(new) if faults.is_empty() => new,
        _ => return again(&faults),
    };
    let hash = match new {
        None => unusable_hash(),
        Some(password) => auth.hash_for_another(password, administrator.0.from).await?,
    };
    auth::set_password(&auth.db, &administrator.0.actor(), user.id, hash, None, Keep::Nothing).await?;
    let what =
        if sent.has("unusable") { "can no longer log in with a password" } else { "has a new password" };
    let text = format!("{} {what}. All auth tokens and sessions ended.", user.username);
    administrator
        .0
        .leave_message(&auth, Message::success(text).link("Show the user", paths::user(user.id)))
        .await?;
    Ok(go(&paths::user(user.id)))
}
