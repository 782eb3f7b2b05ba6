//! What a bulk operation would do to its rows now. It reads many rows at once and applies the rules
//! of `bulk_rows`, which does one row after the other.

use std::collections::{HashMap, HashSet};

use super::bulk_kind::{BulkKind, RowKind};
use super::bulk_rows::{decided_since, former_if_unchanged, out_of_range};
use super::row_failure::RowFailure;
use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::error::Result;
use crate::metering::MOST_TOKENS;
use crate::models::{
    AuthToken, BulkOperation, Chat, ChatState, Editable, EntryKind, FormerLimits, LedgerEntry, User,
    UserLimits,
};

/// A row, and what would happen to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForecastRow {
    /// The row's id.
    pub id: i64,
    /// The user whom it concerns. `None` if the row does not exist.
    pub user_id: Option<i64>,
    /// The row now. `None` if nothing can be said about it.
    pub before: Option<RowState>,
    /// The row afterwards. `None` if it fails.
    pub after: Option<RowState>,
    /// By how many tokens the user's balance changes.
    pub tokens: i64,
    /// Why the row fails. `None` if it does not.
    pub failure: Option<RowFailure>,
}

/// What is said of a row before and after an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowState {
    /// The user's balance, in tokens.
    Balance(i64),
    /// What the chat costs, in tokens.
    Cost(i64),
    /// The user's own limits.
    Limits(UserLimits),
    /// A word, such as `active`.
    Word(&'static str),
    /// The first characters of an auth token, and a word.
    Token(String, &'static str),
}

impl ForecastRow {
    fn failing(id: i64, user_id: Option<i64>, before: Option<RowState>, failure: RowFailure) -> ForecastRow {
        ForecastRow { id, user_id, before, after: None, tokens: 0, failure: Some(failure) }
    }

    /// Makes the row of a user, chat or auth token that exists.
    fn new(
        id: i64,
        user_id: i64,
        (before, after): (RowState, RowState),
        tokens: i64,
        failure: Option<RowFailure>,
    ) -> ForecastRow {
        match failure {
            Some(failure) => ForecastRow::failing(id, Some(user_id), Some(before), failure),
            None => {
                let (before, after) = (Some(before), Some(after));
                ForecastRow { id, user_id: Some(user_id), before, after, tokens, failure: None }
            }
        }
    }
}

/// Returns what an operation of this kind, started by this administrator, would do to these rows.
/// `undone` is the operation that it undoes.
pub fn forecast(
    conn: &mut DbConnection,
    kind: BulkKind,
    actor_id: i64,
    undone: Option<&BulkOperation>,
    ids: &[i64],
) -> Result<Vec<ForecastRow>> {
    match kind.rows() {
        RowKind::User => users(conn, kind, actor_id, undone, ids),
        RowKind::AuthToken => auth_tokens(conn, ids),
        RowKind::Chat if kind == BulkKind::UndoRefund => refunds(conn, undone, ids),
        RowKind::Chat => chats(conn, kind, ids),
    }
}

/// What the rules for users need to know besides the user.
struct Known {
    actor_id: i64,
    superusers: Vec<i64>,
    former: HashMap<i64, UserLimits>,
    /// The users whose adjustment was undone before.
    undone: HashSet<i64>,
    /// The users whom somebody has deactivated or reactivated since.
    decided: HashSet<i64>,
}

impl Known {
    fn read(
        conn: &mut DbConnection,
        kind: BulkKind,
        actor_id: i64,
        undone: Option<&BulkOperation>,
        ids: &[i64],
    ) -> Result<Known> {
        let mut known = Known {
            actor_id,
            superusers: Vec::new(),
            former: HashMap::new(),
            undone: HashSet::new(),
            decided: HashSet::new(),
        };
        if let (BulkKind::Deactivate | BulkKind::Reactivate, Some(undone)) = (kind, undone) {
            known.decided = decided_since(conn, undone, ids)?;
        }
        match (kind, undone) {
            (BulkKind::Deactivate | BulkKind::LogOut, _) => known.superusers = User::superusers(conn)?,
            (BulkKind::UndoLimits, Some(undone)) => known.former = FormerLimits::of(conn, undone.id, ids)?,
            (BulkKind::UndoAdjust(_), Some(undone)) => known.undone = undone_before(conn, undone, ids)?,
            _ => {}
        }
        Ok(known)
    }

    /// Returns whether somebody has decided about this user since.
    fn is_decided(&self, user: &User) -> Option<RowFailure> {
        self.decided.contains(&user.id).then_some(RowFailure::ChangedSince)
    }

    /// Returns why the panel needs this user.
    fn is_needed(&self, user: &User) -> Option<RowFailure> {
        if !(user.is_superuser && user.is_active) {
            return None;
        }
        if user.id == self.actor_id {
            return Some(RowFailure::OwnAccount);
        }
        let is_last = self.superusers.iter().all(|id| *id == user.id);
        is_last.then_some(RowFailure::LastSuperuser)
    }
}

/// Returns those of these rows whose entry was undone by itself.
fn undone_before(conn: &mut DbConnection, undone: &BulkOperation, ids: &[i64]) -> Result<HashSet<i64>> {
    let counter =
        |id: &i64| OperationId::of_undo(&OperationId::of_row(&undone.seed, *id)).as_bytes().to_vec();
    let rows: HashMap<Vec<u8>, i64> = ids.iter().map(|id| (counter(id), *id)).collect();
    let operations: Vec<Vec<u8>> = rows.keys().cloned().collect();
    let found = LedgerEntry::find_by_operations(conn, &operations)?;
    Ok(found.iter().filter_map(|entry| rows.get(&entry.operation_id).copied()).collect())
}

fn users(
    conn: &mut DbConnection,
    kind: BulkKind,
    actor_id: i64,
    undone: Option<&BulkOperation>,
    ids: &[i64],
) -> Result<Vec<ForecastRow>> {
    let known = Known::read(conn, kind, actor_id, undone, ids)?;
    let found: HashMap<i64, User> =
        User::find_many(conn, ids)?.into_iter().map(|user| (user.id, user)).collect();
    let row = |id: &i64| match found.get(id) {
        Some(user) => of_user(kind, &known, undone, user),
        None => ForecastRow::failing(*id, None, None, RowFailure::NoSuchUser),
    };
    Ok(ids.iter().map(row).collect())
}

fn of_user(kind: BulkKind, known: &Known, undone: Option<&BulkOperation>, user: &User) -> ForecastRow {
    let row = |states: (RowState, RowState), tokens: i64, failure: Option<RowFailure>| {
        ForecastRow::new(user.id, user.id, states, tokens, failure)
    };
    let (active, inactive) = (RowState::Word("active"), RowState::Word("inactive"));
    match kind {
        BulkKind::Adjust(amount) | BulkKind::UndoAdjust(amount) => {
            let failure = if known.undone.contains(&user.id) {
                Some(RowFailure::AlreadyUndone)
            } else if is_in_range(user.tokens, amount) {
                None
            } else {
                Some(out_of_range(kind))
            };
            let after = user.tokens.saturating_add(amount);
            row((RowState::Balance(user.tokens), RowState::Balance(after)), amount, failure)
        }
        BulkKind::Deactivate if user.is_active => {
            row((active, inactive), 0, known.is_decided(user).or_else(|| known.is_needed(user)))
        }
        BulkKind::Deactivate => row((inactive, active), 0, Some(RowFailure::AlreadyInactive)),
        BulkKind::Reactivate if user.is_active => row((active, inactive), 0, Some(RowFailure::AlreadyActive)),
        BulkKind::Reactivate => row((inactive, active), 0, known.is_decided(user)),
        BulkKind::SetLimits(limits) => {
            let before = UserLimits::of(user);
            let after = limits.applied_to(before);
            let failure = (before == after).then_some(RowFailure::SameLimits);
            row((RowState::Limits(before), RowState::Limits(after)), 0, failure)
        }
        BulkKind::UndoLimits => {
            let before = UserLimits::of(user);
            let former =
                undone.and_then(|undone| former_if_unchanged(undone, known.former.get(&user.id), user));
            let failure = former.is_none().then_some(RowFailure::ChangedSince);
            row((RowState::Limits(before), RowState::Limits(former.unwrap_or(before))), 0, failure)
        }
        _ => {
            let is_own = user.id == known.actor_id;
            let failure = if is_own { Some(RowFailure::OwnAccount) } else { known.is_needed(user) };
            row((RowState::Word("may be logged in"), RowState::Word("logged out")), 0, failure)
        }
    }
}

/// Whether a balance can change by this amount.
fn is_in_range(balance: i64, amount: i64) -> bool {
    balance.checked_add(amount).is_some_and(|after| (0..=MOST_TOKENS).contains(&after))
}

fn auth_tokens(conn: &mut DbConnection, ids: &[i64]) -> Result<Vec<ForecastRow>> {
    let found: HashMap<i64, AuthToken> =
        AuthToken::find_many(conn, ids)?.into_iter().map(|token| (token.id, token)).collect();
    let row = |id: &i64| {
        let Some(token) = found.get(id) else {
            return ForecastRow::failing(*id, None, None, RowFailure::NoSuchAuthToken);
        };
        let state = |word: &'static str| RowState::Token(token.first_characters.clone(), word);
        let (before, failure) = match token.revoked_at {
            Some(_) => ("revoked", Some(RowFailure::AlreadyEnded)),
            None => ("live", None),
        };
        ForecastRow::new(token.id, token.user_id, (state(before), state("revoked")), 0, failure)
    };
    Ok(ids.iter().map(row).collect())
}

fn chats(conn: &mut DbConnection, kind: BulkKind, ids: &[i64]) -> Result<Vec<ForecastRow>> {
    let found: HashMap<i64, Chat> =
        Chat::without_texts(conn, ids)?.into_iter().map(|chat| (chat.id, chat)).collect();
    let mut entries: HashMap<i64, Vec<LedgerEntry>> = HashMap::new();
    for entry in LedgerEntry::of_chats(conn, ids)? {
        entries.entry(entry.chat_id.unwrap_or_default()).or_default().push(entry);
    }
    let row = |id: &i64| {
        let Some(chat) = found.get(id) else {
            return ForecastRow::failing(*id, None, None, RowFailure::NoSuchChat);
        };
        let of_chat = entries.get(id).map_or(&[][..], Vec::as_slice);
        let (cost, failure) = match kind {
            BulkKind::Release => (chat.charge, release_failure(chat, of_chat)),
            _ => {
                let cost = -of_chat.iter().map(|entry| entry.amount).sum::<i64>();
                (cost, refund_failure(chat, of_chat, cost))
            }
        };
        ForecastRow::new(*id, chat.user_id, (RowState::Cost(cost), RowState::Cost(0)), cost, failure)
    };
    Ok(ids.iter().map(row).collect())
}

fn is_refunded(entries: &[LedgerEntry]) -> bool {
    entries.iter().any(|entry| entry.kind == EntryKind::Refund)
}

fn refund_failure(chat: &Chat, entries: &[LedgerEntry], cost: i64) -> Option<RowFailure> {
    if chat.state == ChatState::Pending {
        return Some(RowFailure::StillPending);
    }
    if is_refunded(entries) {
        return Some(RowFailure::AlreadyRefunded);
    }
    (cost <= 0).then_some(RowFailure::NothingToRefund)
}

fn release_failure(chat: &Chat, entries: &[LedgerEntry]) -> Option<RowFailure> {
    match chat.state {
        ChatState::Pending => None,
        ChatState::Complete => Some(RowFailure::AlreadyAnswered),
        ChatState::Cancelled | ChatState::Failed if is_refunded(entries) => Some(RowFailure::AlreadyReturned),
        ChatState::Cancelled | ChatState::Failed => Some(RowFailure::AlreadyAnswered),
    }
}

/// Returns what undoing refunds would do. Several of them may be of one user, whose balance falls
/// with each.
fn refunds(conn: &mut DbConnection, undone: Option<&BulkOperation>, ids: &[i64]) -> Result<Vec<ForecastRow>> {
    let Some(undone) = undone else { return Ok(Vec::new()) };
    let operation = |id: &i64| OperationId::of_row(&undone.seed, *id).as_bytes().to_vec();
    let operations: Vec<Vec<u8>> = ids.iter().map(operation).collect();
    let found: HashMap<Vec<u8>, LedgerEntry> = LedgerEntry::find_by_operations(conn, &operations)?
        .into_iter()
        .map(|entry| (entry.operation_id.clone(), entry))
        .collect();
    let before = undone_before(conn, undone, ids)?;
    let user_ids: HashSet<i64> = found.values().map(|entry| entry.user_id).collect();
    let users = User::find_many(conn, &user_ids.into_iter().collect::<Vec<_>>())?;
    let mut balances: HashMap<i64, i64> = users.into_iter().map(|user| (user.id, user.tokens)).collect();
    let row = |id: &i64| {
        let Some(entry) = found.get(&operation(id)) else {
            return ForecastRow::failing(*id, None, None, RowFailure::ChangedSince);
        };
        let balance = balances.get(&entry.user_id).copied().unwrap_or_default();
        let after = balance.saturating_sub(entry.amount);
        let failure = if before.contains(id) {
            Some(RowFailure::AlreadyUndone)
        } else if is_in_range(balance, -entry.amount) {
            balances.insert(entry.user_id, after);
            None
        } else {
            Some(RowFailure::TokensSpent)
        };
        let states = (RowState::Balance(balance), RowState::Balance(after));
        ForecastRow::new(*id, entry.user_id, states, -entry.amount, failure)
    };
    Ok(ids.iter().map(row).collect())
}
