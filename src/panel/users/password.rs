//! Setting a user's password. This ends all auth tokens and sessions, which the old password
//! opened.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::find;
use crate::auth::{self, Auth, Keep};
use crate::domain::{Invalid, OperationId, is_same_password};
use crate::models::User;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::password_fields;
use crate::panel::kit::confirm::{confirm, has_rights, own_password_field};
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, id};

fn form(user: &User) -> FormView {
    let mut fields = password_fields(false);
    fields.push(
        Field::new("unusable", "Disable password login", Kind::Tick).help(
            "The user can then no longer log in, but auth tokens that you make for the user still work.",
        ),
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
    VerbPage::new(Frame::new(&administrator.0, &way), form)
        .note("This ends all auth tokens and sessions of the user. Give the user the new password in person.")
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
        return Ok(go(paths::PASSWORD));
    }
    page(&administrator, &user, form(&user)).show()
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
        |fault: Invalid| page(&administrator, &user, form(&user).refill(&sent).blame(&[fault])).show();
    if has_rights(&user)
        && let Some(fault) = confirm(&administrator.0, &sent, &auth).await?
    {
        return again(fault);
    }
    let hash = if sent.has("unusable") {
        if !sent.raw("password").is_empty() {
            return again(Invalid::new("unusable", "leave the password empty, or untick this"));
        }
        unusable_hash()
    } else {
        if !is_same_password(sent.raw("password"), sent.raw("again")) {
            return again(Invalid::new("again", "the two passwords do not match"));
        }
        match auth::parse_new_password(sent.raw("password"), &user) {
            Ok(password) => auth.hash_for_another(password, administrator.0.from).await?,
            Err(fault) => return again(Invalid::new("password", fault.reason)),
        }
    };
    auth::set_password(&auth.db, &administrator.0.actor(), user.id, hash, None, Keep::Nothing).await?;
    let what =
        if sent.has("unusable") { "can no longer log in with a password" } else { "has a new password" };
    let text = format!("{} {what}; all auth tokens and sessions have ended.", user.username);
    administrator
        .0
        .leave_message(&auth, Message::success(text).link("Show the user", paths::user(user.id)))
        .await?;
    Ok(go(&paths::user(user.id)))
}
