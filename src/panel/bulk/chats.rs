//! Refunding many chats: those that were ticked, or all that match.

use super::form::{BulkActions, BulkForm};
use crate::administration::BulkKind;
use crate::models::Chat;
use crate::panel::chats::CHATS;
use crate::panel::kit::common_fields::reason_field;
use crate::panel::kit::names::Named;
use crate::panel::kit::paths;

static ACTIONS: [&BulkForm<Named<Chat>>; 1] = [&REFUND];

/// The bulk operations of the list of chats.
pub(in crate::panel) struct Actions;

impl BulkActions for Actions {
    type Row = Named<Chat>;

    fn forms() -> &'static [&'static BulkForm<Named<Chat>>] {
        &ACTIONS
    }
}

static REFUND: BulkForm<Named<Chat>> = BulkForm {
    list: &CHATS,
    action: "refund",
    title: "Refund chats",
    button: "Refund all",
    is_dangerous: false,
    note: "Returns what each chat has cost to its user. Messages and responses stay. Undoing takes the tokens \
           back, as far as they are not spent.",
    path: paths::BULK_CHATS,
    fields: || vec![reason_field()],
    kind: |_| Ok(BulkKind::Refund),
};
