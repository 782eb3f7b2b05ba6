//! The balances with which imported users open.

use super::found::FoundUser;
use super::report::Topic;
use super::values::balance;
use crate::metering::MOST_TOKENS;
use crate::models::ImportedKind;

/// What to do with users whose balance is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum NegativeBalances {
    /// Refuse these users
    Refuse,
    /// Open them with 0
    Zero,
}

/// The note of an opening entry, which the user sees on the statement.
const NOTE: &str = "imported from Django";

/// The balance of a new user, and the note of the opening entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub tokens: i64,
    pub note: String,
    /// What is noticed about it, if anything.
    pub topic: Option<Topic>,
}

/// Returns how a user opens.
///
/// # Errors
/// Returns why the user is refused.
pub(super) fn opening(user: &FoundUser, negative: NegativeBalances) -> Result<Opening, Topic> {
    let opening = |tokens, topic| Opening { tokens, note: NOTE.to_owned(), topic };
    let text = user.balance.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        // Administrators of Django have no balance at all.
        let is_user = user.owner.0 == ImportedKind::User;
        return Ok(opening(0, is_user.then_some(Topic::NoBalance)));
    }
    match (balance(text), negative) {
        (Some(tokens @ 0..=MOST_TOKENS), _) => Ok(opening(tokens, None)),
        (Some(tokens), NegativeBalances::Zero) if tokens < 0 => {
            let note = format!("{NOTE}, where the balance was {tokens}");
            Ok(Opening { note, ..opening(0, Some(Topic::ZeroedBalance)) })
        }
        (Some(tokens), _) if tokens < 0 => Err(Topic::NegativeBalance),
        _ => Err(Topic::UnreadableBalance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::values::SourceKey;

    fn open(balance: Option<&str>, negative: NegativeBalances) -> Result<(i64, Option<Topic>), Topic> {
        let user = FoundUser {
            owner: (ImportedKind::User, SourceKey::Number(1)),
            name: "ada".to_owned(),
            balance: balance.map(str::to_owned),
            has_readable_hash: true,
            is_active: true,
            is_superuser: false,
            joined: None,
        };
        opening(&user, negative).map(|opening| (opening.tokens, opening.topic))
    }

    #[test]
    fn a_balance_opens_an_account_or_is_refused() {
        use NegativeBalances::{Refuse, Zero};
        for (balance, negative, expected) in [
            (Some("4000"), Refuse, Ok((4000, None))),
            (Some("0"), Refuse, Ok((0, None))),
            (None, Refuse, Ok((0, Some(Topic::NoBalance)))),
            (Some("-300"), Refuse, Err(Topic::NegativeBalance)),
            (Some("-300"), Zero, Ok((0, Some(Topic::ZeroedBalance)))),
            (Some("12.5"), Zero, Err(Topic::UnreadableBalance)),
            (Some("1152921504606846976"), Zero, Ok((MOST_TOKENS, None))),
            (Some("1152921504606846977"), Zero, Err(Topic::UnreadableBalance)),
            (Some("much"), Zero, Err(Topic::UnreadableBalance)),
        ] {
            assert_eq!(open(balance, negative), expected, "{balance:?} {negative:?}");
        }
    }
}
