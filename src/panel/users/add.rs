//! Adding a user.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::administration::{UserToAdd, WantedUser, add_user, find_added, name_taken, whole_number};
use crate::auth::Auth;
use crate::domain::{Invalid, NewPassword, OperationId, Username, is_same_password};
use crate::error::Result;
use crate::metering::MOST_TOKENS;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::confirm::{confirm, own_password_field};
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;

#[derive(Template)]
#[template(path = "admin/form.html")]
struct AddPage {
    frame: Frame,
    form: FormView,
}

fn answer(administrator: &Superuser, form: FormView, status: StatusCode) -> Result<HttpResponse, PageError> {
    let frame = Frame::new(&administrator.0, &[Crumb::new("Users", paths::USERS), Crumb::here("Add user")]);
    page_with(status, &AddPage { frame, form }).map_err(PageError::from)
}

fn form(auth: &Auth, operation: &str) -> FormView {
    let tokens = auth.rules.opening_tokens.to_string();
    FormView::default()
        .hide("operation", operation)
        .group(
            "Account",
            "",
            vec![
                Field::new("username", "Username", Kind::Plain).required().most(50).help(
                    "Letters of one script, digits and @ . + - _, up to 50 characters. Not \
                         case-sensitive.",
                ),
                // Before the new password: in any other order, browsers take the fields for two
                // forms.
                own_password_field("Required only to give somebody rights."),
                Field::new("password", "Password", Kind::Password)
                    .required()
                    .help("At least 8 characters, neither a common password nor the username."),
                Field::new("again", "Repeat password", Kind::Password).required(),
            ],
        )
        .group(
            "Balance",
            "The opening balance is an entry in the ledger, as it is for users who register themselves.",
            vec![Field::new("tokens", "Tokens", Kind::Amount).value(tokens).required()],
        )
        .folded_group("Rights", "A user without rights can use only the API.", rights(false, false))
        .button("", "Save")
        .button("another", "Save and add another")
        .button("continue", "Save and continue")
        .cancel(paths::USERS)
}

/// The fields for a user's rights, with the present ones ticked.
pub(super) fn rights(is_staff: bool, is_superuser: bool) -> Vec<Field> {
    vec![
        Field::new("staff", "Staff", Kind::Tick)
            .ticked(is_staff)
            .help("May sign in to this panel and view everything."),
        Field::new("superuser", "Superuser", Kind::Tick)
            .ticked(is_superuser)
            .help("May also change everything."),
    ]
}

/// Shows the form (`GET /admin/users/add/`). The query string may fill in fields.
pub(in crate::panel) async fn show_add(
    request: HttpRequest,
    administrator: Superuser,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let form = form(&auth, &OperationId::generate().to_text()).preset(request.query_string());
    answer(&administrator, form, StatusCode::OK)
}

/// Returns the values of the form, or every fault in it.
fn parse(form: &Form) -> Result<(Username, NewPassword, i64), Vec<Invalid>> {
    let mut faults = Vec::new();
    let username = Username::parse(form.text("username")).map_err(|fault| faults.push(fault)).ok();
    let password = username.as_ref().and_then(|username| {
        NewPassword::parse(form.raw("password"), username).map_err(|fault| faults.push(fault)).ok()
    });
    if !is_same_password(form.raw("password"), form.raw("again")) {
        faults.push(Invalid::new("again", "the two passwords do not match"));
    }
    let tokens = whole_number(form.text("tokens")).filter(|tokens| (0..=MOST_TOKENS).contains(tokens));
    if tokens.is_none() {
        faults.push(Invalid::new("tokens", "enter a whole number of tokens, 0 or more"));
    }
    match (username, password, tokens) {
        (Some(username), Some(password), Some(tokens)) if faults.is_empty() => {
            Ok((username, password, tokens))
        }
        _ => Err(faults),
    }
}

/// Adds the user (`POST /admin/users/add/`). Giving rights requires the administrator's own
/// password.
pub(in crate::panel) async fn add(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let again = |faults: &[Invalid]| {
        let view = form(&auth, sent.text("operation")).refill(&sent).blame(faults);
        answer(&administrator, view, StatusCode::BAD_REQUEST)
    };
    let (username, password, tokens) = match parse(&sent) {
        Ok(parsed) => parsed,
        Err(faults) => return again(&faults),
    };
    // A repeat is looked up before anything else is checked, which may have changed since.
    let (is_staff, is_superuser) = (sent.has("staff"), sent.has("superuser"));
    let wanted = WantedUser { username: username.clone(), tokens, is_staff, is_superuser };
    if let Some(id) = find_added(&auth.db, operation_id, wanted).await? {
        return added(&administrator, &sent, &auth, &username, id).await;
    }
    if (is_staff || is_superuser)
        && let Some(fault) = confirm(&administrator.0, &sent, &auth).await?
    {
        return again(&[fault]);
    }
    let new = UserToAdd {
        username: username.clone(),
        password_hash: auth.hash_for_another(password, administrator.0.from).await?,
        tokens,
        is_staff,
        is_superuser,
        operation_id,
    };
    let Some(id) = add_user(&auth.db, &administrator.0.actor(), new).await? else {
        return again(&[name_taken()]);
    };
    added(&administrator, &sent, &auth, &username, id).await
}

/// Leads to the next page, and says that the user was added, now or when the form was first sent.
async fn added(
    administrator: &Superuser,
    sent: &Form,
    auth: &Auth,
    username: &Username,
    id: i64,
) -> Result<HttpResponse, PageError> {
    let message = Message::success(format!("User {} was added.", username.as_str()))
        .link("Show the user", paths::user(id));
    administrator.0.leave_message(auth, message).await?;
    Ok(go(&match (sent.has("another"), sent.has("continue")) {
        (true, _) => paths::ADD_USER.to_owned(),
        (_, true) => paths::edit_user(id),
        _ => paths::user(id),
    }))
}
