//! Adding a user.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::administration::{UserToAdd, WantedUser, add_user, find_added, name_taken, whole_number};
use crate::auth::{Auth, parse_account};
use crate::db::DbConnection;
use crate::domain::{Invalid, NewPassword, OperationId, Username, is_same_password};
use crate::error::Result;
use crate::metering::MOST_TOKENS;
use crate::models::User;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{PASSWORDS_DIFFER, confirm_large, with_large_amount};
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
    page_with(status, &AddPage { frame, form: form.alone() }).map_err(PageError::from)
}

fn form(auth: &Auth, operation: &str) -> FormView {
    let tokens = auth.rules().opening_tokens.to_string();
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
            "The opening balance becomes the user's first ledger entry.",
            vec![Field::new("tokens", "Tokens", Kind::Amount).value(tokens).required()],
        )
        .folded_group("Rights", "Without rights, a user can use only the API.", rights(false, false))
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
            .help("Signs in to this panel and sees everything."),
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
    let account = parse_account(Some(form.text("username")), Some(form.raw("password")));
    let account = account.map_err(|wrong| faults.extend(wrong));
    if !is_same_password(form.raw("password"), form.raw("again")) {
        faults.push(Invalid::new("again", PASSWORDS_DIFFER));
    }
    let tokens = whole_number(form.text("tokens")).filter(|tokens| (0..=MOST_TOKENS).contains(tokens));
    if tokens.is_none() {
        faults.push(Invalid::new("tokens", "enter a whole number of tokens, 0 or more"));
    }
    match (account, tokens) {
        (Ok((username, password)), Some(tokens)) if faults.is_empty() => Ok((username, password, tokens)),
        _ => Err(faults),
    }
}

/// Returns the fault of a name that is taken. Only for a form with other faults: if a form has
/// none, adding the user tells, and knows a form that was sent twice.
async fn taken(sent: &Form, auth: &Auth) -> Result<Option<Invalid>, PageError> {
    let Ok(username) = Username::parse(sent.text("username")) else { return Ok(None) };
    let is_taken = move |conn: &mut DbConnection| Ok(User::is_name_taken(conn, &username, None)?);
    Ok(auth.db.read_few(is_taken).await?.then(name_taken))
}

/// Adds the user (`POST /admin/users/add/`). Giving rights requires the administrator's own
/// password.
pub(in crate::panel) async fn add(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let again = |faults: &[Invalid], large: Option<&Invalid>| {
        let form = with_large_amount(form(&auth, sent.text("operation")), "tokens", large, &sent);
        let view =
            form.refill(&sent).blame(faults).blame(large.map(std::slice::from_ref).unwrap_or_default());
        answer(&administrator, view, StatusCode::BAD_REQUEST)
    };
    let parsed = parse(&sent);
    let (is_staff, is_superuser) = (sent.has("staff"), sent.has("superuser"));
    if let Ok((username, _, tokens)) = &parsed {
        // A repeat is looked up before anything else is checked, which may have changed since.
        let wanted = WantedUser { username: username.clone(), tokens: *tokens, is_staff, is_superuser };
        if let Some(id) = find_added(&auth.db, operation_id, wanted).await? {
            return added(&administrator, &sent, &auth, username, id).await;
        }
    }
    let gives_rights = is_staff || is_superuser;
    let unconfirmed = if gives_rights { confirm(&administrator.0, &sent, &auth).await? } else { None };
    let tokens = whole_number(sent.text("tokens")).filter(|tokens| *tokens <= MOST_TOKENS);
    let large = tokens.and_then(|tokens| confirm_large(tokens, &auth.rules(), &sent));
    let (username, password, tokens) = match parsed {
        Ok(parsed) if unconfirmed.is_none() && large.is_none() => parsed,
        parsed => {
            let mut faults = parsed.err().unwrap_or_default();
            faults.extend(unconfirmed);
            faults.extend(taken(&sent, &auth).await?);
            return again(&faults, large.as_ref());
        }
    };
    let new = UserToAdd {
        username: username.clone(),
        password_hash: auth.hash_for_another(password, administrator.0.from).await?,
        tokens,
        is_staff,
        is_superuser,
        operation_id,
    };
    let Some(id) = add_user(&auth.db, &administrator.0.actor(), new).await? else {
        return again(&[name_taken()], None);
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
    let message =
        Message::success(format!("Added {}.", username.as_str())).link("Show the user", paths::user(id));
    administrator.0.leave_message(auth, message).await?;
    Ok(go(&match (sent.has("another"), sent.has("continue")) {
        (true, _) => paths::ADD_USER.to_owned(),
        (_, true) => paths::edit_user(id),
        _ => paths::user(id),
    }))
}
