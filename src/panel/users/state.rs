//! Deactivating, reactivating, and logging out everywhere. Each has a page that asks first.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::find;
use crate::administration::{Edited, log_out_everywhere, set_active};
use crate::auth::Auth;
use crate::models::User;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, format, id};

const DEACTIVATE: &str = "A deactivated user can neither log in nor send anything. All auth tokens and \
                          sessions end at once and stay ended. The balance stays, and pending chats are \
                          finished.";
const REACTIVATE: &str =
    "The user can log in again with the same password. Auth tokens that have ended stay ended.";
const LOG_OUT: &str = "All auth tokens and sessions of this user end at once. The user can log in again.";

fn page(
    administrator: &Superuser,
    user: &User,
    title: &'static str,
    note: &'static str,
    form: FormView,
) -> VerbPage {
    let here = paths::user(user.id);
    let way = [
        Crumb::new("Users", paths::USERS),
        Crumb::new(user.username.as_str(), here.as_str()),
        Crumb::here(title),
    ];
    VerbPage::new(Frame::new(&administrator.0, &way), form.button("", title).cancel(here.clone()))
        .note(note)
        .fact("User", Cell::Link { text: user.username.clone(), href: here })
        .fact("Balance", Cell::Tokens(user.tokens))
}

/// Asks before deactivating (`GET /admin/users/{id}/deactivate/`).
pub(in crate::panel) async fn show_deactivate(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    page(&administrator, &user, "Deactivate", DEACTIVATE, FormView::default().dangerous()).show()
}

/// Asks before reactivating (`GET /admin/users/{id}/reactivate/`).
pub(in crate::panel) async fn show_reactivate(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    page(&administrator, &user, "Reactivate", REACTIVATE, FormView::default()).show()
}

/// Asks before logging out everywhere (`GET /admin/users/{id}/log-out/`).
pub(in crate::panel) async fn show_log_out(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    page(&administrator, &user, "Log out everywhere", LOG_OUT, FormView::default()).show()
}

/// Deactivates the user (`POST /admin/users/{id}/deactivate/`).
pub(in crate::panel) async fn deactivate(
    administrator: Superuser,
    place: Path<String>,
    _sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    change(administrator, id(&place)?, auth, false).await
}

/// Reactivates the user (`POST /admin/users/{id}/reactivate/`).
pub(in crate::panel) async fn reactivate(
    administrator: Superuser,
    place: Path<String>,
    _sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    change(administrator, id(&place)?, auth, true).await
}

async fn change(
    administrator: Superuser,
    user_id: i64,
    auth: Data<Auth>,
    is_active: bool,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, user_id).await?;
    match set_active(&auth.db, &administrator.0.actor(), user_id, is_active).await? {
        Edited::Refused(fault) => {
            let form = FormView::default().dangerous().fault(fault.reason);
            page(&administrator, &user, "Deactivate", DEACTIVATE, form).answer(StatusCode::CONFLICT)
        }
        Edited::Gone => Err(PageError::Missing("user", paths::USERS)),
        _ => {
            let done = if is_active { "reactivated" } else { "deactivated" };
            let message = Message::success(format!("{} is {done}.", user.username));
            administrator.0.leave_message(&auth, message.link("Show the user", paths::user(user_id))).await?;
            Ok(go(&paths::user(user_id)))
        }
    }
}

/// Ends all auth tokens and sessions (`POST /admin/users/{id}/log-out/`).
pub(in crate::panel) async fn log_out(
    administrator: Superuser,
    place: Path<String>,
    _sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let (tokens, sessions) = log_out_everywhere(&auth.db, &administrator.0.actor(), user.id).await?;
    let text = format!(
        "{} is logged out everywhere: {} and {} ended.",
        user.username,
        format::counted(tokens as i64, "auth token", "auth tokens"),
        format::counted(sessions as i64, "session", "sessions")
    );
    if user.id == administrator.0.user.id {
        return Ok(go(paths::SIGN_IN));
    }
    administrator
        .0
        .leave_message(&auth, Message::success(text).link("Show the user", paths::user(user.id)))
        .await?;
    Ok(go(&paths::user(user.id)))
}
