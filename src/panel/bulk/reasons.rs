//! Why rows of a bulk operation fail, in words: `22 have fewer than 900 tokens`.

use crate::administration::{BulkKind, RowFailure, RowKind};
use crate::panel::kit::format;

/// Returns what rows that fail for a reason have in common, behind their number.
pub(super) fn clause(failure: RowFailure, kind: BulkKind, number: i64) -> String {
    let (one, many) = match failure {
        RowFailure::OutOfRange if kind.amount() > 0 => {
            ("would have too many tokens", "would have too many tokens")
        }
        RowFailure::OutOfRange => return fewer_than(kind.amount(), number),
        RowFailure::NoSuchUser | RowFailure::NoSuchAuthToken | RowFailure::NoSuchChat => {
            ("does not exist", "do not exist")
        }
        RowFailure::AlreadyEnded => ("has already ended", "have already ended"),
        RowFailure::AlreadyInactive => ("is already inactive", "are already inactive"),
        RowFailure::AlreadyActive => ("is already active", "are already active"),
        RowFailure::SameLimits => ("already has these limits", "already have these limits"),
        RowFailure::OwnAccount => {
            ("is the account of the administrator", "are the account of the administrator")
        }
        RowFailure::LastSuperuser => ("is the last active superuser", "are the last active superuser"),
        RowFailure::StillPending => ("is still pending", "are still pending"),
        RowFailure::AlreadyRefunded => ("is already refunded", "are already refunded"),
        RowFailure::NothingToRefund => ("cost nothing", "cost nothing"),
        RowFailure::AlreadyReturned => ("is already released", "are already released"),
        RowFailure::AlreadyAnswered => ("is answered by now", "are answered by now"),
        RowFailure::TokensSpent if kind.rows() == RowKind::Chat => {
            ("is of a user who has spent the tokens", "are of users who have spent the tokens")
        }
        RowFailure::TokensSpent => return fewer_than(kind.amount(), number),
        RowFailure::ChangedSince => ("has changed since", "have changed since"),
        RowFailure::AlreadyUndone => ("is already undone", "are already undone"),
    };
    if number == 1 { one.to_owned() } else { many.to_owned() }
}

fn fewer_than(amount: i64, number: i64) -> String {
    let has = if number == 1 { "has" } else { "have" };
    format!("{has} fewer than {}", format::counted(amount.saturating_neg(), "token", "tokens"))
}

/// Returns what was done to each row that did not fail.
pub(super) const fn done(kind: BulkKind) -> &'static str {
    match kind {
        BulkKind::Adjust(_) => "adjusted",
        BulkKind::Deactivate => "deactivated",
        BulkKind::Reactivate => "reactivated",
        BulkKind::SetLimits(_) => "changed",
        BulkKind::LogOut => "logged out",
        BulkKind::Refund => "refunded",
        BulkKind::Release => "released",
        BulkKind::Revoke => "revoked",
        BulkKind::Anonymise => "anonymised",
        BulkKind::UndoAdjust(_) | BulkKind::UndoRefund | BulkKind::UndoLimits => "undone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_agrees_with_its_number() {
        let poor = |number| clause(RowFailure::OutOfRange, BulkKind::Adjust(-900), number);
        assert_eq!(poor(1), "has fewer than 900 tokens");
        assert_eq!(poor(22), "have fewer than 900 tokens");
        assert_eq!(clause(RowFailure::OutOfRange, BulkKind::Adjust(-1), 2), "have fewer than 1 token");
        assert_eq!(clause(RowFailure::AlreadyActive, BulkKind::Reactivate, 1), "is already active");
        assert_eq!(
            clause(RowFailure::TokensSpent, BulkKind::UndoRefund, 3),
            "are of users who have spent the tokens"
        );
    }

    #[test]
    fn each_reason_has_a_clause_for_one_row_and_for_several() {
        for failure in RowFailure::ALL {
            for number in [1, 2] {
                let text = clause(failure, BulkKind::Adjust(-5), number);
                assert!(text.len() > 8 && !text.ends_with('.'), "{failure:?}: {text}");
            }
        }
    }
}
