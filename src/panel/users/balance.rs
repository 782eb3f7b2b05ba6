//! Adjusting one user's balance, by a signed amount and for a reason.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::{find, undo_form};
use crate::administration::{adjust_balance, parse_amount, reused};
use crate::auth::Auth;
use crate::domain::{Invalid, OperationId, Reason};
use crate::metering::Adjusted;
use crate::models::User;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{amount_field, confirm_large, reason_field, with_large_amount};
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, format, id};

fn form(user: &User, operation: &str) -> FormView {
    FormView::default()
        .hide("operation", operation)
        .balance(user.tokens)
        .group("", "", vec![amount_field(), reason_field()])
        .button("", "Adjust balance")
        .button("preview", "Show before and after")
        .cancel(paths::user(user.id))
}

fn page(administrator: &Superuser, user: &User, form: FormView) -> VerbPage {
    let here = paths::user(user.id);
    let way = [
        Crumb::new("Users", paths::USERS),
        Crumb::new(user.username.as_str(), here.as_str()),
        Crumb::here("Adjust balance"),
    ];
    let title = titled("Adjust balance", &user.username);
    VerbPage::new(Frame { title, ..Frame::new(&administrator.0, &way) }, form)
        .fact("User", Cell::Link { text: user.username.clone(), href: here })
        .fact("Balance", Cell::Tokens(user.tokens))
}

/// Shows the form (`GET /admin/users/{id}/adjust/`). The query string may fill in fields.
pub(in crate::panel) async fn show_adjust(
    administrator: Superuser,
    place: Path<String>,
    request: HttpRequest,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let form = form(&user, &OperationId::generate().to_text()).preset(request.query_string());
    page(&administrator, &user, form).show()
}

/// Adjusts the balance, or previews it (`POST /admin/users/{id}/adjust/`).
pub(in crate::panel) async fn adjust(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let user = find(&auth.db, id(&place)?).await?;
    let parsed = (parse_amount(sent.text("amount")), Reason::parse(sent.text("reason")));
    let large = parsed.0.as_ref().ok().and_then(|amount| confirm_large(*amount, &auth.rules(), &sent));
    let form = form(&user, sent.text("operation"));
    if let (true, (Ok(amount), _)) = (sent.has("preview"), &parsed) {
        let form = with_large_amount(form, "amount", None, &sent).refill(&sent);
        return page(&administrator, &user, form).preview(user.tokens, *amount).show();
    }
    let view = with_large_amount(form, "amount", large.as_ref(), &sent).refill(&sent);
    let (amount, reason) = match (parsed, large) {
        ((Ok(amount), Ok(reason)), None) => (amount, reason),
        ((amount, reason), large) => {
            let faults: Vec<Invalid> = amount.err().into_iter().chain(reason.err()).chain(large).collect();
            return page(&administrator, &user, view.blame(&faults)).show();
        }
    };
    let actor = administrator.0.actor();
    match adjust_balance(&auth.db, &actor, user.id, amount, &reason, operation_id).await? {
        Adjusted::Done { balance, .. } => {
            let text = format!(
                "{} now has {} ({}).",
                user.username,
                format::counted(balance, "token", "tokens"),
                format::signed(amount)
            );
            let message = Message::success(text).undo(undo_form(user.id, operation_id));
            administrator.0.leave_message(&auth, message).await?;
            Ok(go(&paths::user(user.id)))
        }
        Adjusted::OutOfRange { balance } => {
            let reason = format!(
                "the balance is {}: it can go neither below 0 nor above the maximum",
                format::tokens(balance)
            );
            let view = view.blame(&[Invalid::new("amount", reason)]);
            page(&administrator, &user, view).show()
        }
        Adjusted::OtherOperation => Err(reused().into()),
        Adjusted::NoSuchUser => Err(PageError::Missing("user", paths::USERS)),
    }
}
