//! Ends holds: each is settled or refunded once.
//!
//! The answer, the sweeper and an administrator may all try to end a hold. The one whose UPDATE
//! changes the row from `pending` moves the money; the others find that it is done.

use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamp};

use super::entry::NewEntry;
use super::operation::{Earlier, look_up};
use crate::db::tally::{ChatEnd, note_chats};
use crate::db::{Bind, DbConnection, Statement, on_either};
use crate::domain::{FailureReason, OperationId, Usage};
use crate::models::{Chat, ChatState, EmbeddingAnswer, EntryKind, LedgerEntry, StoredKey, ToFollow};
use crate::schema::chats;

/// The most bytes of embeddings that are stored for one user. The oldest are deleted first.
const MOST_KEPT_OF_A_USER: i64 = 64 << 20;

/// How a pending chat ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The chat was answered. The charge stays, except what a price by usage refunds.
    Complete {
        /// The answer.
        arrived: Arrived,
        /// What it costs, in tokens. `None` if the whole charge stays.
        cost: Option<i64>,
    },
    /// The client disconnected after the upstream had the prompt or part of the answer had arrived.
    /// Both are charged.
    Cancelled {
        /// The part of the answer that had arrived.
        arrived: Arrived,
        /// What it costs, in tokens. `None` if the whole charge stays.
        cost: Option<i64>,
    },
    /// The client disconnected before the answer began. The charge is refunded.
    LeftEarly,
    /// There is no answer, or only part of one. The charge is refunded, except what the upstream
    /// has worked for: the prompt and the part of the answer.
    Failed {
        /// Why. The user sees its text.
        reason: FailureReason,
        /// The part of the answer that had arrived.
        arrived: Arrived,
        /// What the upstream's work costs, in tokens. `None` if the whole charge is refunded.
        settled: Option<i64>,
    },
    /// An administrator released the hold. The charge is refunded.
    Released {
        /// The administrator.
        actor_id: Option<i64>,
        /// The administrator's reason, for the ledger.
        note: String,
    },
}

/// The part of an answer that has arrived when its hold ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// The text of the answer.
    pub text: Option<String>,
    /// The other parts of the answer, such as tool calls, as JSON.
    pub extras: Option<String>,
    /// The LLM tokens that were used, if known.
    pub usage: Option<Usage>,
    /// When the first part of the answer arrived.
    pub first_byte_at: Option<NaiveDateTime>,
    /// Embeddings that a retry under the key of the request is to get. `None` if there are none, or
    /// the request has no key.
    pub embeddings: Option<KeptEmbeddings>,
}

/// Embeddings that are stored as long as the key of their request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEmbeddings {
    /// The vectors as they are stored. `None` if they are too large for it.
    pub vectors: Option<Arc<Vec<u8>>>,
    /// The length of each vector.
    pub dimensions: usize,
}

impl Arrived {
    /// Returns an answer that has only a text.
    pub fn text(text: impl Into<String>) -> Arrived {
        Arrived { text: Some(text.into()), ..Arrived::default() }
    }
}

/// The outcome of [`end_hold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This call ended the hold.
    Now {
        /// The user's balance afterwards, in tokens.
        balance: i64,
    },
    /// An earlier run of the same operation ended the hold.
    Earlier {
        /// The user's balance after that run, in tokens.
        balance: i64,
    },
    /// The operation id belongs to another operation. Nothing was written.
    OtherOperation,
    /// The hold was refunded before, by another operation. The answer is stored, and nothing is
    /// charged.
    AlreadyRefunded,
    /// The chat was completed before, or its client had disconnected and paid for what had arrived.
    AlreadyComplete,
    /// There is no chat with this id.
    NoSuchChat,
}

/// What happens to the charge.
enum Money<'a> {
    Stays,
    /// Refunds this many tokens, because the chat cost less than what was held.
    Settles(i64),
    GoesBack {
        actor_id: Option<i64>,
        note: &'a str,
    },
}

impl Ending {
    /// Returns the ending of a chat that was answered with a text, at the price of a message.
    pub fn answered(text: impl Into<String>) -> Ending {
        Ending::Complete { arrived: Arrived::text(text), cost: None }
    }

    /// Returns the ending of a chat without any answer. The whole charge is refunded.
    pub fn failed(reason: FailureReason) -> Ending {
        Ending::Failed { reason, arrived: Arrived::default(), settled: None }
    }

    fn state(&self) -> ChatState {
        match self {
            Ending::Complete { .. } => ChatState::Complete,
            Ending::Cancelled { .. } | Ending::LeftEarly => ChatState::Cancelled,
            Ending::Failed { .. } | Ending::Released { .. } => ChatState::Failed,
        }
    }

    fn failure(&self) -> Option<FailureReason> {
        match self {
            Ending::Complete { .. } => None,
            Ending::Cancelled { .. } | Ending::LeftEarly => Some(FailureReason::ClientDisconnected),
            Ending::Failed { reason, .. } => Some(*reason),
            Ending::Released { .. } => Some(FailureReason::Released),
        }
    }

    fn end(&self) -> ChatEnd {
        match self {
            Ending::Complete { .. } => ChatEnd::Complete,
            Ending::Cancelled { .. } | Ending::LeftEarly => ChatEnd::Cancelled,
            Ending::Failed { reason, .. } => ChatEnd::Failed(*reason),
            Ending::Released { .. } => ChatEnd::Failed(FailureReason::Released),
        }
    }

    fn arrived(&self) -> Option<&Arrived> {
        match self {
            Ending::Complete { arrived, .. }
            | Ending::Cancelled { arrived, .. }
            | Ending::Failed { arrived, .. } => Some(arrived),
            Ending::LeftEarly | Ending::Released { .. } => None,
        }
    }

    /// Returns what happens to the charge. The user never pays less than 0 or more than what was
    /// held.
    fn money(&self, charge: i64) -> Money<'_> {
        match self {
            Ending::Complete { cost, .. } | Ending::Cancelled { cost, .. } => {
                let rest = charge - cost.unwrap_or(charge).clamp(0, charge);
                if rest > 0 { Money::Settles(rest) } else { Money::Stays }
            }
            Ending::Failed { settled: Some(cost), .. } if (*cost).min(charge) > 0 => {
                let rest = charge - (*cost).min(charge);
                if rest > 0 { Money::Settles(rest) } else { Money::Stays }
            }
            Ending::LeftEarly | Ending::Failed { .. } => Money::GoesBack { actor_id: None, note: "" },
            Ending::Released { actor_id, note } => Money::GoesBack { actor_id: *actor_id, note },
        }
    }
}

/// Ends a hold. A second run of the same operation finds what the first one did.
pub fn end_hold(
    conn: &mut DbConnection,
    chat_id: i64,
    ending: &Ending,
    operation_id: OperationId,
    now: NaiveDateTime,
) -> QueryResult<Ended> {
    Ok(end_hold_and_tell_when(conn, chat_id, ending, operation_id, now)?.0)
}

/// Ends a hold like [`end_hold`]. Also returns when this call ended it, as it is stored: on
/// PostgreSQL that is not `now`. `None` if this call did not end it.
pub fn end_hold_and_tell_when(
    conn: &mut DbConnection,
    chat_id: i64,
    ending: &Ending,
    operation_id: OperationId,
    now: NaiveDateTime,
) -> QueryResult<(Ended, Option<NaiveDateTime>)> {
    // A release comes from a form, whose operation id may belong to something else.
    if let Ending::Released { note, .. } = ending
        && let Earlier::Other =
            look_up(conn, operation_id, |entry| entry.chat_id == Some(chat_id) && entry.note == *note)?
    {
        return Ok((Ended::OtherOperation, None));
    }
    let Some(Hold { user_id, charge, balance, finished_at }) = leave_pending(conn, chat_id, ending, now)?
    else {
        return Ok((already_ended(conn, chat_id, ending, operation_id)?, None));
    };
    note_chats(ending.end(), 1);
    if let Ending::Complete { arrived: Arrived { embeddings: Some(kept), .. }, .. } = ending {
        kept.store(conn, user_id, chat_id, now)?;
    }
    let (kind, amount, actor_id, note) = match ending.money(charge) {
        Money::Stays => return Ok((Ended::Now { balance }, finished_at)),
        Money::Settles(rest) => (EntryKind::Settlement, rest, None, ""),
        Money::GoesBack { actor_id, note } => {
            // A retry may use the key again.
            StoredKey::free(conn, chat_id)?;
            (EntryKind::Refund, charge, actor_id, note)
        }
    };
    let balance = give_back(conn, user_id, amount)?;
    let chat_id = Some(chat_id);
    NewEntry { user_id, amount, balance_after: balance, kind, chat_id, actor_id, note, operation_id, now }
        .insert(conn)?;
    Ok((Ended::Now { balance }, finished_at))
}

impl KeptEmbeddings {
    fn store(
        &self,
        conn: &mut DbConnection,
        user_id: i64,
        chat_id: i64,
        now: NaiveDateTime,
    ) -> QueryResult<()> {
        let vectors = self.vectors.as_deref().cloned();
        let dimensions = i64::try_from(self.dimensions).unwrap_or(i64::MAX);
        EmbeddingAnswer { chat_id, vectors, dimensions, created_at: now }.insert(
            conn,
            user_id,
            MOST_KEPT_OF_A_USER,
        )
    }
}

/// The row as it was when the chat was pending.
struct Hold {
    user_id: i64,
    charge: i64,
    /// The user's balance before this ending.
    balance: i64,
    /// When it ended.
    finished_at: Option<NaiveDateTime>,
}

/// Changes the chat's state from `pending` and stores what has arrived. Returns `None` if it was no
/// longer pending.
fn leave_pending(
    conn: &mut DbConnection,
    chat_id: i64,
    ending: &Ending,
    now: NaiveDateTime,
) -> QueryResult<Option<Hold>> {
    struct LeavePending;
    let nothing = Arrived::default();
    let arrived = ending.arrived().unwrap_or(&nothing);
    let usage = arrived.usage;
    // With `state || ''`, PostgreSQL can't search an index of all pending chats for this one.
    let statement = Statement::<LeavePending, (BigInt, BigInt, BigInt, Nullable<Timestamp>)>::new(
        "UPDATE chats SET state = ?, failure = ?, finished_at = ?, deadline = NULL, response = ?, answer_extras = ?,
             prompt_tokens = ?, completion_tokens = ?,
             usage_estimated = CASE ? WHEN 1 THEN TRUE WHEN 0 THEN FALSE END, first_byte_at = ?
         WHERE id = ? AND state || '' = 'pending'
         RETURNING user_id, charge, (SELECT tokens FROM users WHERE users.id = chats.user_id), finished_at",
        vec![
            Bind::Text(ending.state().as_str()),
            Bind::MaybeText(ending.failure().map(FailureReason::code)),
            Bind::Now(now),
            Bind::MaybeText(arrived.text.as_deref()),
            Bind::MaybeText(arrived.extras.as_deref()),
            Bind::MaybeInteger(usage.map(|usage| usage.prompt_tokens)),
            Bind::MaybeInteger(usage.map(|usage| usage.completion_tokens)),
            Bind::MaybeInteger(usage.map(|usage| i64::from(usage.estimated))),
            Bind::MaybeTime(arrived.first_byte_at),
            Bind::Integer(chat_id),
        ],
    );
    let left: Option<(i64, i64, i64, Option<NaiveDateTime>)> =
        on_either!(conn => statement.get_result(conn)).optional()?;
    Ok(left.map(|(user_id, charge, balance, finished_at)| Hold { user_id, charge, balance, finished_at }))
}

/// Adds tokens to a user's balance, and returns the new balance.
pub(super) fn give_back(conn: &mut DbConnection, user_id: i64, amount: i64) -> QueryResult<i64> {
    struct GiveBack;
    let statement = Statement::<GiveBack, BigInt>::new(
        "UPDATE users SET tokens = tokens + ? WHERE id = ? RETURNING tokens",
        vec![Bind::Integer(amount), Bind::Integer(user_id)],
    );
    on_either!(conn => statement.get_result(conn))
}

fn already_ended(
    conn: &mut DbConnection,
    chat_id: i64,
    ending: &Ending,
    operation_id: OperationId,
) -> QueryResult<Ended> {
    if let Some(entry) = LedgerEntry::find_by_operation(conn, operation_id.as_bytes())? {
        return Ok(Ended::Earlier { balance: entry.balance_after });
    }
    let Some(chat) = Chat::find_cut(conn, chat_id, 0)? else { return Ok(Ended::NoSuchChat) };
    let was_paid_for = match chat.state {
        ChatState::Complete => true,
        // Some of these chats were refunded and some were charged.
        ChatState::Cancelled | ChatState::Failed => {
            !LedgerEntry::of_chat(conn, chat_id)?.iter().any(|e| e.kind == EntryKind::Refund)
        }
        ChatState::Pending => false,
    };
    if was_paid_for {
        return Ok(Ended::AlreadyComplete);
    }
    if let Some(arrived) = ending.arrived() {
        keep_late_answer(conn, chat_id, arrived)?;
    }
    Ok(Ended::AlreadyRefunded)
}

/// Stores an answer that arrived after the charge was refunded. The user gets it for nothing.
fn keep_late_answer(conn: &mut DbConnection, chat_id: i64, arrived: &Arrived) -> QueryResult<()> {
    if arrived.text.is_none() && arrived.extras.is_none() {
        return Ok(());
    }
    // A chat whose message was removed with its user's name must not store a text again.
    let late = chats::table
        .filter(chats::id.eq(chat_id))
        .filter(chats::response.is_null())
        .filter(chats::message.ne(""));
    let kept = diesel::update(late)
        .set((
            chats::response.eq(arrived.text.as_deref()),
            chats::answer_extras.eq(arrived.extras.as_deref()),
            chats::first_byte_at.eq(arrived.first_byte_at),
        ))
        .execute(conn)?;
    if kept == 1 {
        // The search must find its words, too.
        ToFollow::again(conn, chat_id)?;
    }
    Ok(())
}
