//! The heading of a printed statement: whose it is, its period, its balances, and its sums by kind.
//! It is made of the entries on the page, and only paper shows it.

use chrono::NaiveDateTime;

use super::kit::format;
use super::kit::zone::Zone;
use crate::models::{EntryKind, LedgerEntry};

/// The kinds in the order of the sums, each with its label.
const KINDS: [(EntryKind, &str); 5] = [
    (EntryKind::Opening, "Opening balance granted"),
    (EntryKind::Adjustment, "Adjustments"),
    (EntryKind::Charge, "Charges"),
    (EntryKind::Settlement, "Settlements"),
    (EntryKind::Refund, "Refunds"),
];

/// The heading of a printed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub username: String,
    /// The days of the first and of the last entry.
    pub period: String,
    /// When it was printed, with the time zone of all its times.
    pub printed: String,
    /// The balances before the first entry and after the last one. `None` if entries in between are
    /// missing, because the list is filtered.
    pub balances: Option<(String, String)>,
    pub sums: Vec<Sum>,
    /// The sum of all entries, with its sign.
    pub net: String,
}

/// The entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub label: &'static str,
    pub entries: String,
    /// With its sign.
    pub amount: String,
}

impl Statement {
    /// Makes the heading for entries of one user, in any order. `None` if there are none, or if
    /// they are of several users.
    pub(super) fn new(
        username: &str,
        entries: &[LedgerEntry],
        zone: Zone,
        now: NaiveDateTime,
    ) -> Option<Statement> {
        let mut entries: Vec<&LedgerEntry> = entries.iter().collect();
        entries.sort_by_key(|entry| entry.id);
        let (first, last) = (entries.first()?, entries.last()?);
        if entries.iter().any(|entry| entry.user_id != first.user_id) {
            return None;
        }
        let is_whole = entries.windows(2).all(|pair| match pair {
            [before, after] => before.balance_after.checked_add(after.amount) == Some(after.balance_after),
            _ => true,
        });
        let opening = first.balance_after.saturating_sub(first.amount);
        let balances = is_whole.then(|| (format::tokens(opening), format::tokens(last.balance_after)));
        let [from, to] = [first, last].map(|entry| zone.date_of(entry.created_at));
        Some(Statement {
            username: username.to_owned(),
            period: if from == to { from.to_string() } else { format!("{from} to {to}") },
            printed: format!("{} ({})", zone.minute(now), zone.name()),
            balances,
            sums: sums(&entries),
            net: format::signed(sum(&entries)),
        })
    }
}

fn sums(entries: &[&LedgerEntry]) -> Vec<Sum> {
    let of_kind = |(kind, label): (EntryKind, &'static str)| {
        let own: Vec<&LedgerEntry> = entries.iter().copied().filter(|entry| entry.kind == kind).collect();
        let count = i64::try_from(own.len()).unwrap_or(i64::MAX);
        let amount = format::signed(sum(&own));
        (count > 0).then(|| Sum { label, entries: format::counted(count, "entry", "entries"), amount })
    };
    KINDS.into_iter().filter_map(of_kind).collect()
}

fn sum(entries: &[&LedgerEntry]) -> i64 {
    entries.iter().fold(0, |sum: i64, entry| sum.saturating_add(entry.amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, kind: EntryKind, amount: i64, balance_after: i64) -> LedgerEntry {
        LedgerEntry {
            id,
            user_id: 7,
            amount,
            balance_after,
            kind,
            chat_id: None,
            actor_id: None,
            note: String::new(),
            operation_id: Vec::new(),
            created_at: format!("2026-11-{:02}T23:30:00", 10 + id).parse().unwrap(),
        }
    }

    fn statement(entries: &[LedgerEntry]) -> Option<Statement> {
        let now = "2026-12-01T08:00:00".parse().unwrap();
        Statement::new("ada", entries, Zone::parse("Europe/Berlin").unwrap(), now)
    }

    #[test]
    fn a_statement_has_its_period_its_balances_and_its_sums() {
        let entries = [
            entry(4, EntryKind::Charge, -100, 4_400),
            entry(3, EntryKind::Adjustment, 500, 4_500),
            entry(2, EntryKind::Charge, -100, 4_000),
        ];
        let made = statement(&entries).unwrap();
        assert_eq!(made.period, "2026-11-13 to 2026-11-15", "days of the time zone");
        assert_eq!(made.printed, "2026-12-01 09:00 (Europe/Berlin)");
        assert_eq!(made.balances, Some(("4,100".to_owned(), "4,400".to_owned())));
        let sums: Vec<(&str, &str, &str)> =
            made.sums.iter().map(|sum| (sum.label, sum.entries.as_str(), sum.amount.as_str())).collect();
        assert_eq!(sums, [("Adjustments", "1 entry", "+500"), ("Charges", "2 entries", "−200")]);
        assert_eq!(made.net, "+300");
    }

    #[test]
    fn a_statement_with_gaps_has_no_balances() {
        let gap = [entry(2, EntryKind::Charge, -100, 4_000), entry(4, EntryKind::Charge, -100, 4_400)];
        assert_eq!(statement(&gap).unwrap().balances, None);
        assert_eq!(statement(&[]), None);
        let other = LedgerEntry { user_id: 8, ..entry(3, EntryKind::Charge, -100, 3_900) };
        assert_eq!(statement(&[entry(2, EntryKind::Charge, -100, 4_000), other]), None);
    }
}
