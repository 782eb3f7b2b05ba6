//! What a bulk operation does to each of its rows.

use crate::models::{BulkOperation, Change, FieldValue, UserLimits};

/// What is stored for a limit that returns to the one of the settings.
const DEFAULT: i64 = -1;

/// What a bulk operation does to each of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    /// Adds this number of tokens to the balance of each user. If it is negative, takes them away.
    Adjust(i64),
    /// Deactivates each user.
    Deactivate,
    /// Reactivates each user.
    Reactivate,
    /// Sets the limits of each user.
    SetLimits(LimitsToSet),
    /// Ends all auth tokens and sessions of each user.
    LogOut,
    /// Refunds each chat.
    Refund,
    /// Releases the hold of each chat.
    Release,
    /// Revokes each auth token.
    Revoke,
    /// Removes the texts and all traces of the name of one user.
    Anonymise,
    /// Undoes an [`BulkKind::Adjust`]: adds this number of tokens to the balance of each user.
    UndoAdjust(i64),
    /// Undoes a [`BulkKind::Refund`]: takes back what was refunded for each chat.
    UndoRefund,
    /// Undoes a [`BulkKind::SetLimits`]: returns to the limits that each user had before.
    UndoLimits,
}

/// The kind of the rows of a bulk operation, whose ids it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Users.
    User,
    /// Chats.
    Chat,
    /// Auth tokens.
    AuthToken,
}

/// What happens to one limit of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitToSet {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// The limit of the settings applies.
    Default,
    /// The user's own limit is this.
    Own(i64),
}

/// What happens to the limits of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsToSet {
    /// The most simultaneous chats.
    pub concurrent_chats: LimitToSet,
    /// The most messages a minute.
    pub requests_per_minute: LimitToSet,
}

impl LimitToSet {
    /// Returns what is stored: -1 for the limit of the settings.
    pub fn stored(self) -> Option<i64> {
        match self {
            LimitToSet::Unchanged => None,
            LimitToSet::Default => Some(DEFAULT),
            LimitToSet::Own(limit) => Some(limit),
        }
    }

    fn of(stored: Option<i64>) -> LimitToSet {
        match stored {
            None => LimitToSet::Unchanged,
            Some(DEFAULT) => LimitToSet::Default,
            Some(limit) => LimitToSet::Own(limit),
        }
    }

    /// Returns the new limit as the audit log records it. `None` if it stays.
    fn recorded(self, field: &str) -> Option<Change> {
        let limit = match self {
            LimitToSet::Unchanged => return None,
            LimitToSet::Default => None,
            LimitToSet::Own(limit) => Some(limit),
        };
        Some(Change::new(field, "", FieldValue::Limit(limit)))
    }

    /// Returns the limit after the change.
    fn applied_to(self, limit: Option<i64>) -> Option<i64> {
        match self {
            LimitToSet::Unchanged => limit,
            LimitToSet::Default => None,
            LimitToSet::Own(own) => Some(own),
        }
    }
}

impl LimitsToSet {
    /// Returns what an operation sets.
    fn of(operation: &BulkOperation) -> LimitsToSet {
        LimitsToSet {
            concurrent_chats: LimitToSet::of(operation.concurrent_chats),
            requests_per_minute: LimitToSet::of(operation.requests_per_minute),
        }
    }

    /// Returns the new limits as the audit log records them.
    pub(super) fn recorded(self) -> impl Iterator<Item = Change> {
        let chats = self.concurrent_chats.recorded("concurrent_chats");
        chats.into_iter().chain(self.requests_per_minute.recorded("requests_per_minute"))
    }

    /// Returns a user's limits after the change.
    pub fn applied_to(self, limits: UserLimits) -> UserLimits {
        UserLimits {
            concurrent_chats: self.concurrent_chats.applied_to(limits.concurrent_chats),
            requests_per_minute: self.requests_per_minute.applied_to(limits.requests_per_minute),
        }
    }
}

impl BulkKind {
    /// Returns the code, as the database stores it. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            BulkKind::Adjust(_) => "adjust_balances",
            BulkKind::Deactivate => "deactivate_users",
            BulkKind::Reactivate => "reactivate_users",
            BulkKind::SetLimits(_) => "set_limits",
            BulkKind::LogOut => "log_out_users",
            BulkKind::Refund => "refund_chats",
            BulkKind::Release => "release_holds",
            BulkKind::Revoke => "revoke_auth_tokens",
            BulkKind::Anonymise => "anonymise_user",
            BulkKind::UndoAdjust(_) => "undo_adjustments",
            BulkKind::UndoRefund => "undo_refunds",
            BulkKind::UndoLimits => "undo_limits",
        }
    }

    /// Returns the text that the panel shows.
    pub const fn text(self) -> &'static str {
        match self {
            BulkKind::Adjust(_) => "adjust balances",
            BulkKind::Deactivate => "deactivate users",
            BulkKind::Reactivate => "reactivate users",
            BulkKind::SetLimits(_) => "set limits",
            BulkKind::LogOut => "log out users",
            BulkKind::Refund => "refund chats",
            BulkKind::Release => "release holds",
            BulkKind::Revoke => "revoke auth tokens",
            BulkKind::Anonymise => "anonymise a user",
            BulkKind::UndoAdjust(_) => "undo adjustments",
            BulkKind::UndoRefund => "undo refunds",
            BulkKind::UndoLimits => "undo limits",
        }
    }

    /// Returns the kind of a stored operation. `None` if a newer version of Tollgate stored it.
    pub fn of(operation: &BulkOperation) -> Option<BulkKind> {
        let all = [
            BulkKind::Adjust(operation.amount),
            BulkKind::Deactivate,
            BulkKind::Reactivate,
            BulkKind::SetLimits(LimitsToSet::of(operation)),
            BulkKind::LogOut,
            BulkKind::Refund,
            BulkKind::Release,
            BulkKind::Revoke,
            BulkKind::Anonymise,
            BulkKind::UndoAdjust(operation.amount),
            BulkKind::UndoRefund,
            BulkKind::UndoLimits,
        ];
        let stored = operation.kind.as_str();
        all.into_iter().find(|kind| kind.code() == stored || kind.old_text() == Some(stored))
    }

    /// Returns the text that 0.1.0 stored instead of the code. One of its nodes may still run
    /// beside this one.
    const fn old_text(self) -> Option<&'static str> {
        match self {
            BulkKind::Adjust(_) => Some("adjust balances"),
            BulkKind::Revoke => Some("revoke auth tokens"),
            BulkKind::Anonymise => Some("anonymise a user"),
            _ => None,
        }
    }

    /// Returns the kind of its rows.
    pub const fn rows(self) -> RowKind {
        match self {
            BulkKind::Refund | BulkKind::Release | BulkKind::UndoRefund => RowKind::Chat,
            BulkKind::Revoke => RowKind::AuthToken,
            _ => RowKind::User,
        }
    }

    /// Returns what undoes it. `None` if it cannot be undone.
    pub const fn undo(self) -> Option<BulkKind> {
        match self {
            BulkKind::Adjust(amount) => Some(BulkKind::UndoAdjust(-amount)),
            BulkKind::Deactivate => Some(BulkKind::Reactivate),
            BulkKind::Reactivate => Some(BulkKind::Deactivate),
            BulkKind::SetLimits(_) => Some(BulkKind::UndoLimits),
            BulkKind::Refund => Some(BulkKind::UndoRefund),
            _ => None,
        }
    }

    /// Returns the tokens that each user gets. 0 if it is not the same for each.
    pub const fn amount(self) -> i64 {
        match self {
            BulkKind::Adjust(amount) | BulkKind::UndoAdjust(amount) => amount,
            _ => 0,
        }
    }

    /// Returns the limits that it sets, the same for each user.
    pub(super) fn limits(self) -> LimitsToSet {
        if let BulkKind::SetLimits(limits) = self { limits } else { LimitsToSet::default() }
    }
}
