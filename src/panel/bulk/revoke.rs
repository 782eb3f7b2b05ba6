//! Revoking many auth tokens: the ones that were ticked, or all that match.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::form::BulkForm;
use crate::administration::{Bulk, BulkKind};
use crate::auth::Auth;
use crate::models::AuthToken;
use crate::panel::auth_tokens::AUTH_TOKENS;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::reason_field;
use crate::panel::kit::form::Form;
use crate::panel::kit::names::Named;
use crate::panel::kit::paths;

static REVOKE: BulkForm<Named<AuthToken>> = BulkForm {
    list: &AUTH_TOKENS,
    title: "Revoke auth tokens",
    button: "Revoke all",
    is_dangerous: true,
    note: "Clients that use these auth tokens will be rejected. This cannot be undone.",
    path: paths::REVOKE_AUTH_TOKENS,
    fields: || vec![reason_field().help("One line, up to 200 characters. It is shown in the history.")],
    kind: |_| Ok(BulkKind::Revoke),
};

/// Shows the form for the auth tokens that were selected in the list
/// (`POST /admin/auth-tokens/selected/`).
pub(in crate::panel) async fn selected(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    REVOKE.show(&administrator, &sent, &auth).await
}

/// Starts the operation (`POST /admin/auth-tokens/bulk-revoke/`).
pub(in crate::panel) async fn revoke(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    REVOKE.start(&administrator, &sent, &auth, &bulk).await
}
