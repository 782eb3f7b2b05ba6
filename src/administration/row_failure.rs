//! Why a bulk operation could not do a row.

/// Why a bulk operation could not do a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowFailure {
    /// The balance would have left its range.
    OutOfRange,
    /// There is no user with this id.
    NoSuchUser,
    /// There is no auth token with this id.
    NoSuchAuthToken,
    /// The auth token was revoked before.
    AlreadyEnded,
    /// The user was not active.
    AlreadyInactive,
    /// The user was active.
    AlreadyActive,
    /// The user had these limits.
    SameLimits,
    /// The user is the administrator who started the operation.
    OwnAccount,
    /// The user is the last active superuser.
    LastSuperuser,
    /// There is no chat with this id.
    NoSuchChat,
    /// The chat is pending, so its hold must be released instead.
    StillPending,
    /// The chat was refunded before.
    AlreadyRefunded,
    /// The chat cost nothing.
    NothingToRefund,
    /// The hold's charge was returned before.
    AlreadyReturned,
    /// The chat of the hold was answered before.
    AlreadyAnswered,
    /// The tokens to take back are spent.
    TokensSpent,
    /// The row has changed since the operation that is undone.
    ChangedSince,
    /// The row was undone before.
    AlreadyUndone,
}

impl RowFailure {
    /// All reasons.
    pub const ALL: [RowFailure; 18] = [
        RowFailure::OutOfRange,
        RowFailure::NoSuchUser,
        RowFailure::NoSuchAuthToken,
        RowFailure::AlreadyEnded,
        RowFailure::AlreadyInactive,
        RowFailure::AlreadyActive,
        RowFailure::SameLimits,
        RowFailure::OwnAccount,
        RowFailure::LastSuperuser,
        RowFailure::NoSuchChat,
        RowFailure::StillPending,
        RowFailure::AlreadyRefunded,
        RowFailure::NothingToRefund,
        RowFailure::AlreadyReturned,
        RowFailure::AlreadyAnswered,
        RowFailure::TokensSpent,
        RowFailure::ChangedSince,
        RowFailure::AlreadyUndone,
    ];

    /// Returns the code, as the database stores it. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            RowFailure::OutOfRange => "out_of_range",
            RowFailure::NoSuchUser => "no_such_user",
            RowFailure::NoSuchAuthToken => "no_such_auth_token",
            RowFailure::AlreadyEnded => "already_ended",
            RowFailure::AlreadyInactive => "already_inactive",
            RowFailure::AlreadyActive => "already_active",
            RowFailure::SameLimits => "same_limits",
            RowFailure::OwnAccount => "own_account",
            RowFailure::LastSuperuser => "last_superuser",
            RowFailure::NoSuchChat => "no_such_chat",
            RowFailure::StillPending => "still_pending",
            RowFailure::AlreadyRefunded => "already_refunded",
            RowFailure::NothingToRefund => "nothing_to_refund",
            RowFailure::AlreadyReturned => "already_returned",
            RowFailure::AlreadyAnswered => "already_answered",
            RowFailure::TokensSpent => "tokens_spent",
            RowFailure::ChangedSince => "changed_since",
            RowFailure::AlreadyUndone => "already_undone",
        }
    }

    /// Returns the text that the panel shows.
    pub const fn text(self) -> &'static str {
        match self {
            RowFailure::OutOfRange => "the balance would go below 0 or above the maximum",
            RowFailure::NoSuchUser => "there is no such user",
            RowFailure::NoSuchAuthToken => "there is no such auth token",
            RowFailure::AlreadyEnded => "it had already ended",
            RowFailure::AlreadyInactive => "already inactive",
            RowFailure::AlreadyActive => "already active",
            RowFailure::SameLimits => "already has these limits",
            RowFailure::OwnAccount => "this is your own account",
            RowFailure::LastSuperuser => "this is the last active superuser",
            RowFailure::NoSuchChat => "there is no such chat",
            RowFailure::StillPending => "still pending: release its hold instead",
            RowFailure::AlreadyRefunded => "already refunded",
            RowFailure::NothingToRefund => "it cost nothing",
            RowFailure::AlreadyReturned => "its charge was already returned",
            RowFailure::AlreadyAnswered => "it was answered in the meantime",
            RowFailure::TokensSpent => "the tokens are spent: the balance is too low to take them back",
            RowFailure::ChangedSince => "changed since",
            RowFailure::AlreadyUndone => "already undone",
        }
    }

    /// Returns the reason with a code. `None` if this version does not know it.
    pub fn from_code(code: &str) -> Option<RowFailure> {
        RowFailure::ALL.into_iter().find(|failure| failure.code() == code)
    }

    /// Returns the text of a stored code. A code that this version does not know is its own text.
    pub fn text_of(code: &str) -> &str {
        RowFailure::from_code(code).map_or(code, |failure| failure.text())
    }

    /// Whether the row was as the operation would have left it, so that nobody need look at it.
    pub const fn is_harmless(self) -> bool {
        matches!(
            self,
            RowFailure::AlreadyEnded
                | RowFailure::AlreadyInactive
                | RowFailure::AlreadyActive
                | RowFailure::SameLimits
                | RowFailure::AlreadyRefunded
                | RowFailure::AlreadyReturned
                | RowFailure::AlreadyAnswered
                | RowFailure::AlreadyUndone
        )
    }
}
