//! Releasing many holds: those that were ticked, or all that match.

use super::form::{BulkActions, BulkForm};
use crate::administration::BulkKind;
use crate::models::Chat;
use crate::panel::holds::HOLDS;
use crate::panel::kit::common_fields::reason_field;
use crate::panel::kit::names::Named;
use crate::panel::kit::paths;

static ACTIONS: [&BulkForm<Named<Chat>>; 1] = [&RELEASE];

/// The bulk operations of the list of holds.
pub(in crate::panel) struct Actions;

impl BulkActions for Actions {
    type Row = Named<Chat>;

    fn forms() -> &'static [&'static BulkForm<Named<Chat>>] {
        &ACTIONS
    }
}

static RELEASE: BulkForm<Named<Chat>> = BulkForm {
    list: &HOLDS,
    action: "release",
    title: "Release holds",
    button: "Release all",
    is_dangerous: true,
    note: "Marks the chats as failed and returns their charges at once. Later answers are kept and cost \
           nothing. This cannot be undone.",
    path: paths::BULK_HOLDS,
    fields: || vec![reason_field()],
    kind: |_| Ok(BulkKind::Release),
};
