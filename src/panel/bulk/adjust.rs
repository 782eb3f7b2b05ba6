//! Adjusting many balances: of the users that were ticked, or of all that match.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::form::BulkForm;
use crate::administration::{Bulk, BulkKind, parse_amount};
use crate::auth::Auth;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{amount_field, reason_field};
use crate::panel::kit::form::Form;
use crate::panel::kit::paths;
use crate::panel::users::{ListedUser, USERS};

static ADJUST: BulkForm<ListedUser> = BulkForm {
    list: &USERS,
    title: "Adjust balances",
    button: "Adjust all",
    is_dangerous: false,
    note: "Each user gets the same amount. The selection is fixed when you send this. The work is done in the \
           background, user by user, and continues after a restart. The result says what failed, and why.",
    path: paths::ADJUST_USERS,
    fields: || vec![amount_field(), reason_field()],
    kind: |sent| parse_amount(sent.text("amount")).map(BulkKind::Adjust),
};

/// Shows the form for the users who were selected in the list (`POST /admin/users/selected/`).
pub(in crate::panel) async fn selected(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    ADJUST.show(&administrator, &sent, &auth).await
}

/// Starts the operation (`POST /admin/users/bulk-adjust/`).
pub(in crate::panel) async fn adjust(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    ADJUST.start(&administrator, &sent, &auth, &bulk).await
}
