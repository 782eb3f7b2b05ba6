//! Actions on many users: those that were ticked, or all that match.

use super::form::{BulkActions, BulkForm};
use crate::administration::{BulkKind, LimitToSet, LimitsToSet, MOST_LIMIT, parse_amount, whole_number};
use crate::domain::Invalid;
use crate::panel::kit::common_fields::{amount_field, history_reason_field, reason_field};
use crate::panel::kit::fields::{Field, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::paths;
use crate::panel::users::{CHATS_AT_ONCE, ListedUser, REQUESTS_A_MINUTE, USERS};

/// The actions, in the order of the list.
static ACTIONS: [&BulkForm<ListedUser>; 5] = [&ADJUST, &LIMITS, &DEACTIVATE, &REACTIVATE, &LOG_OUT];

/// The bulk operations of the list of users.
pub(in crate::panel) struct Actions;

impl BulkActions for Actions {
    type Row = ListedUser;

    fn forms() -> &'static [&'static BulkForm<ListedUser>] {
        &ACTIONS
    }
}

static ADJUST: BulkForm<ListedUser> = BulkForm {
    list: &USERS,
    action: "adjust",
    title: "Adjust balances",
    button: "Adjust all",
    is_dangerous: false,
    note: "Runs in the background. The result lists what was skipped, and can be undone.",
    path: paths::BULK_USERS,
    fields: || vec![amount_field(), reason_field()],
    kind: |sent| parse_amount(sent.text("amount")).map(BulkKind::Adjust).map_err(|fault| vec![fault]),
};

static LIMITS: BulkForm<ListedUser> = BulkForm {
    list: &USERS,
    action: "limits",
    title: "Set limits",
    button: "Set all",
    is_dangerous: false,
    note: "A change takes effect within 10 seconds. The result can be undone.",
    path: paths::BULK_USERS,
    fields: || {
        let field = |(name, label): (&'static str, &'static str)| {
            Field::new(name, label, Kind::Amount)
                .most(30)
                .help("Empty: stays. default: the server's default.")
        };
        vec![field(CHATS_AT_ONCE), field(REQUESTS_A_MINUTE), history_reason_field()]
    },
    kind: limits,
};

static DEACTIVATE: BulkForm<ListedUser> = BulkForm {
    list: &USERS,
    action: "deactivate",
    title: "Deactivate users",
    button: "Deactivate all",
    is_dangerous: true,
    note: "Blocks login and chats, revokes all auth tokens and ends all sessions. Balances are kept, and \
           pending chats are finished. Undoing reactivates the users. It does not restore auth tokens.",
    path: paths::BULK_USERS,
    fields: || vec![history_reason_field()],
    kind: |_| Ok(BulkKind::Deactivate),
};

static REACTIVATE: BulkForm<ListedUser> = BulkForm {
    list: &USERS,
    action: "reactivate",
    title: "Reactivate users",
    button: "Reactivate all",
    is_dangerous: false,
    note: "The users can log in again with the same passwords. Auth tokens that have ended stay ended.",
    path: paths::BULK_USERS,
    fields: || vec![history_reason_field()],
    kind: |_| Ok(BulkKind::Reactivate),
};

static LOG_OUT: BulkForm<ListedUser> = BulkForm {
    list: &USERS,
    action: "log-out",
    title: "Log out users",
    button: "Log out all",
    is_dangerous: true,
    note: "All auth tokens and sessions of these users end. They can log in again. This cannot be undone.",
    path: paths::BULK_USERS,
    fields: || vec![history_reason_field()],
    kind: |_| Ok(BulkKind::LogOut),
};

/// Reads which limits to set. At least one must be.
fn limits(sent: &Form) -> Result<BulkKind, Vec<Invalid>> {
    let mut faults = Vec::new();
    let mut read = |name: &'static str| match sent.text(name) {
        "" => LimitToSet::Unchanged,
        text if text.eq_ignore_ascii_case("default") => LimitToSet::Default,
        text => match whole_number(text).filter(|limit| *limit <= MOST_LIMIT) {
            Some(limit) => LimitToSet::Own(limit),
            None => {
                let reason = "enter a whole number from 0 to 1,000,000, or default, or leave it empty";
                faults.push(Invalid::new(name, reason));
                LimitToSet::Unchanged
            }
        },
    };
    let limits = LimitsToSet {
        concurrent_chats: read(CHATS_AT_ONCE.0),
        requests_per_minute: read(REQUESTS_A_MINUTE.0),
    };
    if faults.is_empty() && limits == LimitsToSet::default() {
        faults.push(Invalid::new(CHATS_AT_ONCE.0, "enter at least one limit"));
    }
    if faults.is_empty() { Ok(BulkKind::SetLimits(limits)) } else { Err(faults) }
}
