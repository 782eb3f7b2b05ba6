//! Deactivating, reactivating, and logging out everywhere. Each has a page that asks first.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::find;
use crate::administration::{Edited, log_out_everywhere, set_active, set_active_if_unchanged, undo_reason};
use crate::auth::Auth;
use crate::domain::Invalid;
use crate::models::User;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{optional_reason, optional_reason_field};
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::{Message, UNDO, UndoForm};
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, format, id};

/// One of the three actions: its title, and what it does.
struct Verb {
    title: &'static str,
    note: &'static str,
    is_dangerous: bool,
}

static DEACTIVATE: Verb = Verb {
    title: "Deactivate",
    note: "Blocks login and chats, revokes all auth tokens and ends all sessions immediately. The balance is \
           kept, and pending chats are finished.",
    is_dangerous: true,
};
static REACTIVATE: Verb = Verb {
    title: "Reactivate",
    note: "The user can log in again with the same password. Revoked auth tokens stay revoked.",
    is_dangerous: false,
};
static LOG_OUT: Verb = Verb {
    title: "Log out everywhere",
    note: "Ends all auth tokens and sessions immediately. The user can log in again.",
    is_dangerous: false,
};

impl Verb {
    fn form(&self) -> FormView {
        let form = FormView::default().group("", "", vec![optional_reason_field()]);
        if self.is_dangerous { form.dangerous() } else { form }
    }

    fn page(&self, administrator: &Superuser, user: &User, form: FormView) -> VerbPage {
        let here = paths::user(user.id);
        let way = [
            Crumb::new("Users", paths::USERS),
            Crumb::new(user.username.as_str(), here.as_str()),
            Crumb::here(self.title),
        ];
        let title = titled(self.title, &user.username);
        let frame = Frame { title, ..Frame::new(&administrator.0, &way) };
        VerbPage::new(frame, form.button("", self.title).cancel(here.clone()))
            .note(self.note)
            .fact("User", Cell::Link { text: user.username.clone(), href: here })
            .fact("Balance", Cell::Tokens(user.tokens))
    }

    /// Asks before the action.
    async fn ask(
        &self,
        administrator: &Superuser,
        place: &Path<String>,
        auth: &Auth,
    ) -> Result<HttpResponse, PageError> {
        let user = find(&auth.db, id(place)?).await?;
        self.page(administrator, &user, self.form()).show()
    }

    /// Shows the form again, with what was entered and a fault.
    fn again(
        &self,
        administrator: &Superuser,
        user: &User,
        sent: &Form,
        fault: Invalid,
    ) -> Result<HttpResponse, PageError> {
        self.page(administrator, user, self.form().refill(sent).blame(&[fault])).show()
    }
}

/// Asks before deactivating (`GET /admin/users/{id}/deactivate/`).
pub(in crate::panel) async fn show_deactivate(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    DEACTIVATE.ask(&administrator, &place, &auth).await
}

/// Asks before reactivating (`GET /admin/users/{id}/reactivate/`).
pub(in crate::panel) async fn show_reactivate(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    REACTIVATE.ask(&administrator, &place, &auth).await
}

/// Asks before logging out everywhere (`GET /admin/users/{id}/log-out/`).
pub(in crate::panel) async fn show_log_out(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    LOG_OUT.ask(&administrator, &place, &auth).await
}

/// Deactivates the user (`POST /admin/users/{id}/deactivate/`).
pub(in crate::panel) async fn deactivate(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    change(administrator, id(&place)?, &sent, &auth, false).await
}

/// Reactivates the user (`POST /admin/users/{id}/reactivate/`).
pub(in crate::panel) async fn reactivate(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    change(administrator, id(&place)?, &sent, &auth, true).await
}

async fn change(
    administrator: Superuser,
    user_id: i64,
    sent: &Form,
    auth: &Auth,
    is_active: bool,
) -> Result<HttpResponse, PageError> {
    let verb = if is_active { &REACTIVATE } else { &DEACTIVATE };
    let user = find(&auth.db, user_id).await?;
    let reason = match optional_reason(sent) {
        Ok(reason) => reason,
        Err(fault) => return verb.again(&administrator, &user, sent, fault),
    };
    let actor = administrator.0.actor();
    let edited = if sent.has(UNDO) {
        set_active_if_unchanged(&auth.db, &actor, user_id, sent.version(), is_active, &reason).await?
    } else {
        set_active(&auth.db, &actor, user_id, is_active, &reason).await?
    };
    match edited {
        Edited::Refused(fault) => {
            let form = verb.form().refill(sent).fault(&fault.reason);
            verb.page(&administrator, &user, form).answer(StatusCode::CONFLICT)
        }
        Edited::Gone => Err(PageError::Missing("user", paths::USERS)),
        Edited::Conflict(_) => {
            let text = format!("Nothing was undone: {} was changed in the meantime.", user.username);
            administrator.0.leave_message(auth, Message::warning(text)).await?;
            Ok(go(&paths::user(user_id)))
        }
        Edited::Done(changes) => {
            let done = if is_active { "reactivated" } else { "deactivated" };
            let message = Message::success(format!("{} is {done}.", user.username));
            let message = message.link("Show the user", paths::user(user_id));
            let can_be_undone = !changes.is_empty() && !sent.has(UNDO);
            let message = if can_be_undone { message.undo(undo(&user, is_active, &reason)) } else { message };
            administrator.0.leave_message(auth, message).await?;
            Ok(go(&paths::user(user_id)))
        }
    }
}

/// The form that undoes a deactivation or a reactivation, if nobody changes the user in the
/// meantime.
fn undo(before: &User, is_active: bool, reason: &str) -> UndoForm {
    let action = if is_active { paths::deactivate(before.id) } else { paths::reactivate(before.id) };
    let (version, reason) = ((before.version + 1).to_string(), undo_reason(reason));
    UndoForm::new(action, &[("version", version.as_str()), ("reason", reason.as_str())])
}

/// Ends all auth tokens and sessions (`POST /admin/users/{id}/log-out/`).
pub(in crate::panel) async fn log_out(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let reason = match optional_reason(&sent) {
        Ok(reason) => reason,
        Err(fault) => return LOG_OUT.again(&administrator, &user, &sent, fault),
    };
    let actor = administrator.0.actor();
    let (tokens, sessions) = log_out_everywhere(&auth.db, &actor, user.id, &reason).await?;
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
