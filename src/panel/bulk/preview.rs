//! What a bulk operation would do, as it is shown before it starts: the total, the first rows, and
//! how many rows would fail, by reason.

use std::collections::BTreeMap;

use super::reasons::{clause, done};
use crate::administration::{BulkKind, ForecastRow, RowFailure, RowKind, RowState, forecast};
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::{BulkOperation, User, UserLimits};
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};

/// The most rows that are checked. A page has no time for more.
pub(super) const CHECKED: usize = 1_000;
/// The number of rows that are named.
const NAMED: usize = 5;

/// What a bulk operation would do.
pub(in crate::panel) struct Preview {
    /// The rows, and the tokens in total.
    pub total: String,
    /// How many rows would fail, and why.
    pub lines: Vec<String>,
    pub first_title: String,
    pub first: Table,
}

/// What is previewed.
pub(super) struct Subject<'a> {
    pub kind: BulkKind,
    /// The administrator who would start it.
    pub actor_id: i64,
    /// The operation that it undoes.
    pub undone: Option<&'a BulkOperation>,
    /// The noun for one row, and for several.
    pub nouns: (&'static str, &'static str),
    /// The ids of the first rows, at least of [`CHECKED`] if there are so many.
    pub ids: &'a [i64],
    /// The number of rows, or the number up to which they were counted.
    pub number: i64,
    pub is_exact: bool,
}

impl Preview {
    /// Reads the first rows and applies the rules of the operation to them. Changes nothing.
    pub(super) fn read(conn: &mut DbConnection, subject: &Subject<'_>) -> Result<Preview> {
        let checked: Vec<i64> = subject.ids.iter().take(CHECKED).copied().collect();
        let rows = forecast(conn, subject.kind, subject.actor_id, subject.undone, &checked)?;
        let first = rows.get(..NAMED).unwrap_or(&rows);
        let names = User::names_of(conn, first.iter().filter_map(|row| row.user_id).collect())?;
        let table = Table {
            heads: heads(subject.kind),
            rows: first
                .iter()
                .map(|row| cells(subject.kind, row, row.user_id.and_then(|id| names.get(&id))))
                .collect(),
            empty: "",
        };
        let first_title = match first.len() {
            1 => format!("The {}", subject.nouns.0),
            number => format!("The first {} {}", format::tokens(number as i64), subject.nouns.1),
        };
        Ok(Preview { total: total(subject, &rows), lines: lines(subject, &rows), first_title, first: table })
    }
}

/// Returns the first sentence: `28 users, −900 tokens each: −25,200 tokens in total.`
fn total(subject: &Subject<'_>, rows: &[ForecastRow]) -> String {
    let (one, many) = subject.nouns;
    let counted = format::counted(subject.number, one, many);
    let counted = if subject.is_exact { counted } else { format!("At least {counted}") };
    let tokens = |amount: i64| {
        let noun = if amount.abs() == 1 { "token" } else { "tokens" };
        format!("{} {noun}", format::signed(amount))
    };
    let each = subject.kind.amount();
    if each != 0 {
        return match subject.number {
            1 => format!("{counted}: {}.", tokens(each)),
            _ if !subject.is_exact => format!("{counted}, {} each.", tokens(each)),
            number => {
                let all = tokens(each.saturating_mul(number));
                format!("{counted}, {} each: {all} in total.", tokens(each))
            }
        };
    }
    let moved: i64 = rows.iter().map(|row| row.tokens).sum();
    if !matches!(subject.kind, BulkKind::Refund | BulkKind::Release | BulkKind::UndoRefund) {
        return format!("{counted}.");
    }
    if is_all_checked(subject, rows) {
        return format!("{counted}: {} in total.", tokens(moved));
    }
    format!("{counted}: {} for the first {}.", tokens(moved), format::tokens(rows.len() as i64))
}

fn is_all_checked(subject: &Subject<'_>, rows: &[ForecastRow]) -> bool {
    subject.is_exact && rows.len() as i64 == subject.number
}

/// Returns a line for each reason for which rows would fail, and one for those that would not.
fn lines(subject: &Subject<'_>, rows: &[ForecastRow]) -> Vec<String> {
    let mut reasons: BTreeMap<RowFailure, i64> = BTreeMap::new();
    for failure in rows.iter().filter_map(|row| row.failure) {
        *reasons.entry(failure).or_default() += 1;
    }
    let mut reasons: Vec<(RowFailure, i64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, number)| -number);
    let failed: i64 = reasons.iter().map(|(_, number)| number).sum();
    let skipped = reasons.into_iter().map(|(failure, number)| {
        let clause = clause(failure, subject.kind, number);
        format!("{} {clause} and will be skipped.", format::tokens(number))
    });
    let mut lines: Vec<String> = skipped.collect();
    let fine = rows.len() as i64 - failed;
    if !is_all_checked(subject, rows) {
        lines.insert(0, format!("Only the first {} were checked:", format::tokens(rows.len() as i64)));
        lines.push(format!("{} will be {}.", format::tokens(fine), done(subject.kind)));
    } else if fine == 0 {
        lines.push(format!("None will be {}.", done(subject.kind)));
    } else if failed > 0 {
        let moved: i64 = rows.iter().map(|row| row.tokens).sum();
        let tokens = if moved == 0 { String::new() } else { format!(": {} tokens", format::signed(moved)) };
        lines.push(format!("{} will be {}{tokens}.", format::tokens(fine), done(subject.kind)));
    }
    lines
}

fn heads(kind: BulkKind) -> Vec<TableHead> {
    let row = match kind.rows() {
        RowKind::User => "User",
        RowKind::Chat => "Chat",
        RowKind::AuthToken => "Auth token",
    };
    let (now, then) = match kind {
        BulkKind::Adjust(_) | BulkKind::UndoAdjust(_) | BulkKind::UndoRefund => {
            ("Balance now", "Balance after")
        }
        BulkKind::Refund | BulkKind::Release => ("Cost now", "Cost after"),
        _ => ("Now", "After"),
    };
    let mut heads = vec![TableHead::text(row)];
    if kind.rows() != RowKind::User {
        heads.push(TableHead::text("User"));
    }
    heads.extend([TableHead::text(now), TableHead::text(then)]);
    heads
}

fn cells(kind: BulkKind, row: &ForecastRow, name: Option<&String>) -> Vec<Cell> {
    let user = || row.user_id.map_or(Cell::Nothing, |id| Cell::user(id, name));
    let mut cells = match (kind.rows(), &row.before) {
        (RowKind::User, _) => vec![Cell::user(row.id, name)],
        (RowKind::Chat, _) => {
            vec![Cell::Link { text: format!("#{}", row.id), href: paths::chat(row.id) }, user()]
        }
        (RowKind::AuthToken, Some(RowState::Token(start, _))) => {
            vec![Cell::Link { text: format!("{start}…"), href: paths::auth_token(row.id) }, user()]
        }
        (RowKind::AuthToken, _) => vec![Cell::Text(format!("auth token {}", row.id)), Cell::Nothing],
    };
    cells.push(row.before.as_ref().map_or(Cell::Nothing, state));
    cells.push(match (&row.after, row.failure) {
        (Some(after), _) => state(after),
        (None, Some(failure)) => Cell::Text(format!("skipped: {}", failure.text())),
        (None, None) => Cell::Nothing,
    });
    cells
}

fn state(state: &RowState) -> Cell {
    match state {
        RowState::Balance(tokens) | RowState::Cost(tokens) => Cell::Tokens(*tokens),
        RowState::Limits(limits) => Cell::Text(limits_in_words(limits)),
        RowState::Word(word) | RowState::Token(_, word) => Cell::Text((*word).to_owned()),
    }
}

fn limits_in_words(limits: &UserLimits) -> String {
    let limit = |own: Option<i64>| own.map_or_else(|| "default".to_owned(), format::tokens);
    format!(
        "{} chats at once, {} requests a minute",
        limit(limits.concurrent_chats),
        limit(limits.requests_per_minute)
    )
}
