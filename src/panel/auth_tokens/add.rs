//! Making an auth token for a user. Its plain text is only ever on the page that follows the form.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::administration::reused;
use crate::auth::{Auth, AuthTokenOutcome, AuthTokenRequest, MadeAuthToken};
use crate::domain::{Fingerprint, Invalid, OperationId};
use crate::error::Error;
use crate::models::User;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::confirm::{confirm, has_rights, own_password_field};
use crate::panel::kit::fields::{Field, FieldChoice, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::find_user;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;

#[derive(Template)]
#[template(path = "admin/made_auth_token.html")]
struct MadePage {
    frame: Frame,
    plain: String,
    username: String,
    user_id: i64,
    id: i64,
}

fn form(operation: &str) -> FormView {
    FormView::default()
        .hide("operation", operation)
        .group(
            "",
            "",
            vec![
                Field::new("user", "User", Kind::User)
                    .required()
                    .most(254)
                    .help("The user's name, or #17 for an id."),
                Field::new("name", "Name of the auth token", Kind::Plain)
                    .required()
                    .most(100)
                    .help("What it is for, such as Reading list."),
                Field::new("days", "Expires after", Kind::Choice(lifetimes())).value("90"),
                own_password_field("Required only if the user is staff or a superuser."),
            ],
        )
        .button("", "Make the auth token")
        .cancel(paths::AUTH_TOKENS)
}

fn lifetimes() -> Vec<FieldChoice> {
    [("1", "a day"), ("7", "a week"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "never")]
        .map(|(days, label)| FieldChoice::new(days, label))
        .to_vec()
}

fn page(administrator: &Superuser, form: FormView) -> Result<HttpResponse, PageError> {
    let way = [Crumb::new("Auth tokens", paths::AUTH_TOKENS), Crumb::here("Make an auth token")];
    // The administrator's own name, since the form may ask for the administrator's own password.
    VerbPage::new(Frame::new(&administrator.0, &way), form.account(&administrator.0.user.username))
        .note("The next page shows the auth token once. Only its digest is stored.")
        .show()
}

/// Shows the form (`GET /admin/auth-tokens/add/`). The query string may fill in fields.
pub(in crate::panel) async fn show_add(
    request: HttpRequest,
    administrator: Superuser,
) -> Result<HttpResponse, PageError> {
    let form = form(&OperationId::generate().to_text());
    page(&administrator, form.preset(request.query_string()))
}

/// Makes the auth token and shows it (`POST /admin/auth-tokens/add/`). For a user with rights this
/// requires the administrator's own password.
pub(in crate::panel) async fn add(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let (operation_id, fingerprint) = (sent.operation()?, fingerprint(&sent));
    // A repeat is looked up before anything is checked: its user may have another name by now, and
    // the password need not be right again.
    if let Some(earlier) = auth.find_operation(operation_id, fingerprint).await? {
        return repeated(&administrator, &auth, earlier).await;
    }
    let again =
        |faults: &[Invalid]| page(&administrator, form(sent.text("operation")).refill(&sent).blame(faults));
    let mut faults = Vec::new();
    let user = find(&auth, sent.text("user")).await?;
    if user.is_none() {
        faults.push(Invalid::new("user", "there is no such user"));
    }
    let days = Some(sent.text("days")).filter(|days| !days.is_empty()).map(|days| days.parse().unwrap_or(-1));
    let request = AuthTokenRequest::parse(Some(sent.text("name")), days).map_err(|fault| {
        let field = if fault.field == "expires_in_days" { "days" } else { fault.field };
        faults.push(Invalid::new(field, fault.reason));
    });
    if user.as_ref().is_some_and(has_rights) {
        faults.extend(confirm(&administrator.0, &sent, &auth).await?);
    }
    let (Some(user), Ok(request)) = (user, request) else { return again(&faults) };
    if !faults.is_empty() {
        return again(&faults);
    }
    let request = request.once(operation_id, fingerprint);
    match auth.make_auth_token(Some(administrator.0.actor()), user.id, request).await {
        Ok(AuthTokenOutcome::Made(made)) => show_made(&administrator, user, made),
        Ok(earlier) => repeated(&administrator, &auth, earlier).await,
        Err(Error::Invalid(fault)) => again(&[fault]),
        Err(error) => Err(error.into()),
    }
}

/// Digests what the form asks for, as it was typed.
fn fingerprint(sent: &Form) -> Fingerprint {
    let fields = ["user", "name", "days"].map(|name| (name, sent.text(name)));
    Fingerprint::of(paths::ADD_AUTH_TOKEN, &fields)
}

/// Answers a form that was sent before: by a double click, or by reloading the page after it.
async fn repeated(
    administrator: &Superuser,
    auth: &Auth,
    earlier: AuthTokenOutcome,
) -> Result<HttpResponse, PageError> {
    let AuthTokenOutcome::MadeBefore(id) = earlier else { return Err(reused().into()) };
    let message = Message::warning(
        "This auth token was made already and shown once. If nobody copied it, revoke it and \
         make another one.",
    );
    administrator.0.leave_message(auth, message.link("Make another", paths::ADD_AUTH_TOKEN)).await?;
    Ok(go(&paths::auth_token(id)))
}

fn show_made(administrator: &Superuser, user: User, made: MadeAuthToken) -> Result<HttpResponse, PageError> {
    let here = paths::auth_token(made.stored.id);
    let way =
        [Crumb::new("Auth tokens", paths::AUTH_TOKENS), Crumb::new("The new auth token", here.as_str())];
    let shown = MadePage {
        frame: Frame {
            title: titled("The new auth token", &user.username),
            ..Frame::new(&administrator.0, &way)
        },
        plain: made.plain.expose().to_owned(),
        username: user.username,
        user_id: user.id,
        id: made.stored.id,
    };
    let mut response = page_with(StatusCode::CREATED, &shown)?;
    // The browser must not keep the page either.
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn find(auth: &Auth, text: &str) -> Result<Option<User>, PageError> {
    let text = text.to_owned();
    if text.is_empty() || text.len() > 1024 {
        return Ok(None);
    }
    Ok(auth.db.read(move |conn| find_user(conn, &text)).await?)
}
