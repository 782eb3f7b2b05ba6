//! Revoking many auth tokens: those that were ticked, or all that match.

use super::form::{BulkActions, BulkForm};
use crate::administration::BulkKind;
use crate::models::AuthToken;
use crate::panel::auth_tokens::AUTH_TOKENS;
use crate::panel::kit::common_fields::history_reason_field;
use crate::panel::kit::names::Named;
use crate::panel::kit::paths;

static ACTIONS: [&BulkForm<Named<AuthToken>>; 1] = [&REVOKE];

/// The bulk operations of the list of auth tokens.
pub(in crate::panel) struct Actions;

impl BulkActions for Actions {
    type Row = Named<AuthToken>;

    fn forms() -> &'static [&'static BulkForm<Named<AuthToken>>] {
        &ACTIONS
    }
}

static REVOKE: BulkForm<Named<AuthToken>> = BulkForm {
    list: &AUTH_TOKENS,
    action: "revoke",
    title: "Revoke auth tokens",
    button: "Revoke all",
    is_dangerous: true,
    note: "Clients that use these auth tokens will be rejected. This cannot be undone.",
    path: paths::BULK_AUTH_TOKENS,
    fields: || vec![history_reason_field()],
    kind: |_| Ok(BulkKind::Revoke),
};
