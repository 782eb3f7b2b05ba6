//! Refunding a chat: its cost is returned, once, for a reason.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::of;
use crate::administration::{refund_chat, reused};
use crate::auth::Auth;
use crate::domain::{OperationId, Reason};
use crate::metering::Refunded;
use crate::models::{Chat, User};
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::reason_field;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, format, id};

fn form(chat: &Chat, operation: &str) -> FormView {
    FormView::default()
        .hide("operation", operation)
        .group("", "", vec![reason_field()])
        .button("", "Refund")
        .cancel(paths::chat(chat.id))
}

fn page(administrator: &Superuser, chat: &Chat, user: &User, form: FormView) -> VerbPage {
    let (title, here) = (format!("Chat {}", chat.id), paths::chat(chat.id));
    let way =
        [Crumb::new("Chats", paths::CHATS), Crumb::new(title.as_str(), here.as_str()), Crumb::here("Refund")];
    VerbPage::new(Frame::new(&administrator.0, &way), form)
        .note(
            "This returns the cost of the chat to the user's balance. The message and its response stay. A \
             chat can be refunded only once.",
        )
        .fact("Chat", Cell::Link { text: title, href: here.clone() })
        .fact("User", Cell::user(user.id, Some(&user.username)))
        .fact("Message", Cell::excerpt(&chat.message))
        .fact("Charge", Cell::Tokens(chat.charge))
        .fact("Balance", Cell::Tokens(user.tokens))
}

/// Shows the form (`GET /admin/chats/{id}/refund/`).
pub(in crate::panel) async fn show_refund(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let (chat, user) = of(&auth.db, id(&place)?).await?;
    page(&administrator, &chat, &user, form(&chat, &OperationId::generate().to_text())).show()
}

/// Refunds the chat (`POST /admin/chats/{id}/refund/`).
pub(in crate::panel) async fn refund(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let (chat, user) = of(&auth.db, id(&place)?).await?;
    let view = form(&chat, sent.text("operation")).refill(&sent);
    let reason = match Reason::parse(sent.text("reason")) {
        Ok(reason) => reason,
        Err(fault) => return page(&administrator, &chat, &user, view.blame(&[fault])).show(),
    };
    let refuse = |why: &str| page(&administrator, &chat, &user, view.fault(why)).answer(StatusCode::CONFLICT);
    match refund_chat(&auth.db, &administrator.0.actor(), chat.id, &reason, operation_id).await? {
        Refunded::Done { amount, balance, .. } => {
            let text = format!(
                "Chat {} was refunded: {} tokens were returned, and {} now has {}.",
                chat.id,
                format::tokens(amount),
                user.username,
                format::tokens(balance)
            );
            let statement = paths::statement(user.id);
            administrator
                .0
                .leave_message(&auth, Message::success(text).link("Show the statement", statement))
                .await?;
            Ok(go(&paths::chat(chat.id)))
        }
        Refunded::AlreadyRefunded => refuse("This chat has already been refunded, so nothing was done."),
        Refunded::Pending => refuse("This chat is still pending: release its hold instead."),
        Refunded::NothingToRefund => refuse("This chat cost nothing, so there is nothing to refund."),
        Refunded::OtherOperation => Err(reused().into()),
        Refunded::NoSuchChat => Err(PageError::Missing("chat", paths::CHATS)),
    }
}
