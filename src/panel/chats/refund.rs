//! Refunding a chat: its cost is returned, once, for a reason.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::facts::cost;
use super::of;
use crate::administration::{refund_chat, reused};
use crate::auth::Auth;
use crate::db::{Db, DbConnection};
use crate::domain::{OperationId, Reason};
use crate::metering::Refunded;
use crate::models::{Chat, LedgerEntry, User};
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::reason_field;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, format, id};
use crate::panel::users::undo_form;

fn form(chat: &Chat, operation: &str) -> FormView {
    FormView::default()
        .hide("operation", operation)
        .group("", "", vec![reason_field()])
        .button("", "Refund")
        .cancel(paths::chat(chat.id))
}

/// The chat to refund.
struct Subject {
    chat: Chat,
    user: User,
    /// What it has cost so far.
    cost: Fact,
}

async fn find(db: &Db, chat_id: i64) -> Result<Subject, PageError> {
    let (chat, user) = of(db, chat_id).await?;
    let read = move |conn: &mut DbConnection| Ok(LedgerEntry::of_chat(conn, chat_id)?);
    let entries = db.read(read).await?;
    Ok(Subject { cost: cost(&chat, entries.iter()), chat, user })
}

fn page(administrator: &Superuser, subject: &Subject, form: FormView) -> VerbPage {
    let Subject { chat, user, cost } = subject;
    let (name, here) = (format!("Chat {}", chat.id), paths::chat(chat.id));
    let way =
        [Crumb::new("Chats", paths::CHATS), Crumb::new(name.as_str(), here.as_str()), Crumb::here("Refund")];
    let title = titled(&format!("Refund chat {}", chat.id), &user.username);
    VerbPage::new(Frame { title, ..Frame::new(&administrator.0, &way) }, form)
        .note(
            "Returns the chat's cost to the user. The message and the answer stay. A chat can be \
             refunded once.",
        )
        .fact("Chat", Cell::Link { text: name, href: here.clone() })
        .fact("User", Cell::user(user.id, Some(&user.username)))
        .fact("Message", Cell::excerpt(&chat.message))
        .fact(cost.label, cost.cell.clone())
        .fact("Balance", Cell::Tokens(user.tokens))
}

/// Shows the form (`GET /admin/chats/{id}/refund/`).
pub(in crate::panel) async fn show_refund(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let subject = find(&auth.db, id(&place)?).await?;
    let form = form(&subject.chat, &OperationId::generate().to_text());
    page(&administrator, &subject, form).show()
}

/// Refunds the chat (`POST /admin/chats/{id}/refund/`).
pub(in crate::panel) async fn refund(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let subject = find(&auth.db, id(&place)?).await?;
    let (chat, user) = (&subject.chat, &subject.user);
    let view = form(chat, sent.text("operation")).refill(&sent);
    let reason = match Reason::parse(sent.text("reason")) {
        Ok(reason) => reason,
        Err(fault) => return page(&administrator, &subject, view.blame(&[fault])).show(),
    };
    let refuse = |why: &str| page(&administrator, &subject, view.fault(why)).answer(StatusCode::CONFLICT);
    match refund_chat(&auth.db, &administrator.0.actor(), chat.id, &reason, operation_id).await? {
        Refunded::Done { amount, balance, .. } => {
            let text = format!(
                "Refunded {1} for chat {0}: {2} now has {3}.",
                chat.id,
                format::counted(amount, "token", "tokens"),
                user.username,
                format::tokens(balance)
            );
            let message = Message::success(text).link("Show the statement", paths::statement(user.id));
            let message = message.undo(undo_form(user.id, operation_id));
            administrator.0.leave_message(&auth, message).await?;
            Ok(go(&paths::chat(chat.id)))
        }
        Refunded::AlreadyRefunded => refuse("This chat is refunded already."),
        Refunded::Pending => refuse("This chat is pending. Release its hold instead."),
        Refunded::NothingToRefund => refuse("This chat cost nothing."),
        Refunded::OtherOperation => Err(reused().into()),
        Refunded::NoSuchChat => Err(PageError::Missing("chat", paths::CHATS)),
    }
}
