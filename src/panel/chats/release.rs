//! Releasing a hold: the charge of a pending chat is returned, for a reason.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::facts::cost;
use super::of;
use crate::administration::{release_hold, reused};
use crate::auth::Auth;
use crate::domain::{OperationId, Reason};
use crate::metering::Ended;
use crate::models::{Chat, User};
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::reason_field;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, format, id};

fn form(operation: &str) -> FormView {
    FormView::default()
        .hide("operation", operation)
        .group("", "", vec![reason_field()])
        .dangerous()
        .button("", "Release the hold")
        .cancel(paths::HOLDS)
}

fn page(administrator: &Superuser, chat: &Chat, user: &User, form: FormView) -> VerbPage {
    let (name, here) = (format!("Chat {}", chat.id), paths::chat(chat.id));
    let way = [
        Crumb::new("Holds", paths::HOLDS),
        Crumb::new(name.as_str(), here.as_str()),
        Crumb::here("Release the hold"),
    ];
    let title = titled(&format!("Release the hold of chat {}", chat.id), &user.username);
    let held = cost(chat, std::iter::empty());
    VerbPage::new(Frame { title, ..Frame::new(&administrator.0, &way) }, form)
        .note(
            "Marks the chat as failed and returns its charge. A later answer is kept and costs \
             nothing. Past its deadline, a hold is released automatically.",
        )
        .fact("Chat", Cell::Link { text: name, href: here.clone() })
        .fact("User", Cell::user(user.id, Some(&user.username)))
        .fact("Message", Cell::excerpt(&chat.message))
        .fact(held.label, held.cell)
        .fact("Sent", Cell::Time(chat.created_at))
        .fact("Deadline", Cell::time(chat.deadline))
}

/// Shows the form (`GET /admin/chats/{id}/release/`).
pub(in crate::panel) async fn show_release(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let (chat, user) = of(&auth.db, id(&place)?).await?;
    page(&administrator, &chat, &user, form(&OperationId::generate().to_text())).show()
}

/// Releases the hold (`POST /admin/chats/{id}/release/`).
pub(in crate::panel) async fn release(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let (chat, user) = of(&auth.db, id(&place)?).await?;
    let view = form(sent.text("operation")).refill(&sent);
    let reason = match Reason::parse(sent.text("reason")) {
        Ok(reason) => reason,
        Err(fault) => return page(&administrator, &chat, &user, view.blame(&[fault])).show(),
    };
    let refuse = |why: &str| page(&administrator, &chat, &user, view.fault(why)).answer(StatusCode::CONFLICT);
    match release_hold(&auth.db, &administrator.0.actor(), chat.id, &reason, operation_id).await? {
        Ended::Now { balance } | Ended::Earlier { balance } => {
            let text = format!(
                "Released the hold of chat {}: {} now has {} tokens.",
                chat.id,
                user.username,
                format::tokens(balance)
            );
            administrator
                .0
                .leave_message(&auth, Message::success(text).link("Show the chat", paths::chat(chat.id)))
                .await?;
            Ok(go(paths::HOLDS))
        }
        Ended::AlreadyRefunded => refuse("This chat is refunded already."),
        Ended::AlreadyComplete => {
            refuse("This chat has been answered in the meantime. To return its cost, refund it.")
        }
        Ended::OtherOperation => Err(reused().into()),
        Ended::NoSuchChat => Err(PageError::Missing("chat", paths::CHATS)),
    }
}
