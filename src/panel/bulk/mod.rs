//! Bulk operations: selecting the rows, confirming, and watching the progress.

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

/// Responds to a form that was sent before: leads to the operation that it started. If the form has
/// changed since, a message says that the changes were not used.
async fn again(
    administrator: &Superuser,
    auth: &Auth,
    started: &BulkOperation,
    sent: &Form,
) -> Result<HttpResponse, PageError> {
    let amount = parse_amount(sent.text("amount")).unwrap_or_default();
    if amount != started.amount || sent.text("reason") != started.note {
        let text = "This form had already started the operation below when you changed it, so nothing new \
                    was started. Start again from the list.";
        administrator.0.leave_message(auth, Message::warning(text)).await?;
    }
    Ok(go(&paths::bulk_operation(started.id)))
}
