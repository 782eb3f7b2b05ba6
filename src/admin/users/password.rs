//! Setting a user's password, which ends everything that the old one opened.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::{find, path};
use crate::admin::administrator::Superuser;
use crate::admin::fields::{Field, FormView, Kind};
use crate::admin::form::Form;
use crate::admin::page::{Frame, Message, go};
use crate::admin::verb::VerbPage;
use crate::admin::{PageError, id};
use crate::administration::{parse_password_for, set_user_password};
use crate::auth::Auth;
use crate::domain::Invalid;
use crate::models::User;

fn form(user: &User) -> FormView {
    FormView::default().group("", "", password_fields()).button("", "Set password").cancel(path(user.id))
}

pub(in crate::admin) fn password_fields() -> Vec<Field> {
    vec![
        Field::new("password", "New password", Kind::Password)
            .required()
            .help("At least 8 characters, not a common one, not the name."),
        Field::new("again", "The new password again", Kind::Password).required(),
    ]
}

fn page(administrator: &Superuser, user: &User, form: FormView) -> VerbPage {
    let here = path(user.id);
    let way = [("Users", "/admin/users/"), (user.username.as_str(), here.as_str()), ("Set password", "")];
    VerbPage::new(Frame::new(&administrator.0, &way), form).note(
        "All auth tokens and sessions of this user end with it. Tell the user the new password in person.",
    )
}

pub(in crate::admin) async fn show_password(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    page(&administrator, &user, form(&user)).show()
}

pub(in crate::admin) async fn set_password(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let again = |fault: Invalid| page(&administrator, &user, form(&user).blame(&[fault])).show();
    if sent.raw("password") != sent.raw("again") {
        return again(Invalid::new("again", "the two passwords differ: type the same one twice"));
    }
    let password = match parse_password_for(sent.raw("password"), &user) {
        Ok(password) => password,
        Err(fault) => return again(Invalid::new("password", fault.reason)),
    };
    let hash = auth.hasher.hash(password).await.map_err(crate::error::Error::from)?;
    set_user_password(&auth.db, &administrator.0.actor(), user.id, hash, None).await?;
    if user.id == administrator.0.user.id {
        // The own session has just ended, too.
        return Ok(go("/admin/sign-in/"));
    }
    let text = format!("{} has a new password; all auth tokens and sessions have ended.", user.username);
    administrator.0.tell(&auth, Message::success(text).link("Show the user", path(user.id))).await?;
    Ok(go(&path(user.id)))
}
