//! Bulk operations: choosing, confirming, and watching them.

mod adjust;
mod list;
mod revoke;
mod selection;
mod show;

pub(super) use adjust::{adjust, selected as selected_users};
pub(super) use list::list;
pub(super) use revoke::{revoke, selected as selected_tokens};
pub(super) use show::show;

use actix_web::HttpResponse;

use crate::administration::parse_amount;
use crate::auth::Auth;
use crate::models::BulkOperation;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::form::Form;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::go;
use crate::panel::kit::paths;

/// A form was sent again: it leads to what it has started, and says so where it was changed since.
async fn again(
    administrator: &Superuser,
    auth: &Auth,
    started: &BulkOperation,
    sent: &Form,
) -> Result<HttpResponse, PageError> {
    let amount = parse_amount(sent.text("amount")).unwrap_or_default();
    if amount != started.amount || sent.text("reason") != started.note {
        let text = "This form had started the operation below before it was changed; nothing new was started. Begin \
                    again in the list.";
        administrator.0.leave_message(auth, Message::warning(text)).await?;
    }
    Ok(go(&paths::bulk_operation(started.id)))
}
