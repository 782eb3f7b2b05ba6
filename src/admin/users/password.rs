//! Setting a user's password, which ends everything that the old one opened.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::{find, path};
use crate::admin::administrator::Superuser;
use crate::admin::confirm::{confirm, has_rights, own_password_field};
use crate::admin::fields::{Field, FormView, Kind};
use crate::admin::form::Form;
use crate::admin::page::{Frame, Message, go};
use crate::admin::verb::VerbPage;
use crate::admin::{PageError, id};
use crate::auth::{self, Auth, Keep};
use crate::domain::{Invalid, OperationId};
use crate::models::User;

fn form(user: &User) -> FormView {
    let mut fields = password_fields(false);
    fields.push(
        Field::new("unusable", "No password at all", Kind::Tick).help(
            "Nobody can log in with a password then; auth tokens that you make for the user still work.",
        ),
    );
    if has_rights(user) {
        fields.push(
            own_password_field("This user may sign in to the panel, so it takes your own password.")
                .required(),
        );
    }
    let form = FormView::default().account(&user.username).group("", "", fields);
    form.button("", "Set password").cancel(path(user.id))
}

/// What Django stores for a password that nothing fits: `!` and random characters.
fn unusable_hash() -> String {
    format!("!{}", OperationId::generate().to_text())
}

/// A new password, twice. `required` by the browser, where the form has no other way.
pub(in crate::admin) fn password_fields(required: bool) -> Vec<Field> {
    let mut fields = [
        Field::new("password", "New password", Kind::Password)
            .help("At least 8 characters, not a common one, not the name."),
        Field::new("again", "The new password again", Kind::Password),
    ];
    for field in &mut fields {
        field.is_required = required;
    }
    fields.into()
}

fn page(administrator: &Superuser, user: &User, form: FormView) -> VerbPage {
    let here = path(user.id);
    let way = [("Users", "/admin/users/"), (user.username.as_str(), here.as_str()), ("Set password", "")];
    VerbPage::new(Frame::new(&administrator.0, &way), form).note(
        "All auth tokens and sessions of this user end with it. Tell the user the new password in person.",
    )
}

/// The page for one's own password, which asks for the old one.
const OWN: &str = "/admin/password/";

pub(in crate::admin) async fn show_password(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    if user.id == administrator.0.user.id {
        return Ok(go(OWN));
    }
    page(&administrator, &user, form(&user)).show()
}

pub(in crate::admin) async fn set_password(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    if user.id == administrator.0.user.id {
        let text = "Nothing was changed. Your own password is changed here, with the old one.";
        administrator.0.tell(&auth, Message::warning(text)).await?;
        return Ok(go(OWN));
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
            return again(Invalid::new("unusable", "leave the password empty, or do not tick this"));
        }
        unusable_hash()
    } else {
        if sent.raw("password") != sent.raw("again") {
            return again(Invalid::new("again", "the two passwords differ: type the same one twice"));
        }
        match auth::parse_new_password(sent.raw("password"), &user) {
            Ok(password) => auth.hash_for_another(password, administrator.0.from).await?,
            Err(fault) => return again(Invalid::new("password", fault.reason)),
        }
    };
    auth::set_password(&auth.db, &administrator.0.actor(), user.id, hash, None, Keep::Nothing).await?;
    let what = if sent.has("unusable") { "no password any more" } else { "a new password" };
    let text = format!("{} has {what}; all auth tokens and sessions have ended.", user.username);
    administrator.0.tell(&auth, Message::success(text).link("Show the user", path(user.id))).await?;
    Ok(go(&path(user.id)))
}
