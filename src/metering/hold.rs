//! How a hold ends: settled or refunded, by whoever gets there first.
//!
//! The answer, the sweeper and an administrator may all try. The one whose UPDATE changed the row from `pending`
//! moves the money; the others see that it is done.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::entry::NewEntry;
use super::operation::{Earlier, look_up};
use crate::db::{Bind, DbConnection, Statement};
use crate::domain::{OperationId, Reason, Usage};
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry, StoredKey, ToFollow};
use crate::schema::{chats, users};

/// What a pending chat came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Answered: the charge stays, but for what a price by usage gives back.
    Complete { arrived: Arrived, cost: Option<i64> },
    /// The client disconnected after the upstream had the prompt or part of the answer had arrived.
    /// Those are charged.
    Cancelled { arrived: Arrived, cost: Option<i64> },
    /// The client left before the answer began: the charge goes back.
    LeftEarly,
    /// There is no answer, or only part of one. The charge is refunded, except what the upstream
    /// has worked for (`settled`, in tokens): the prompt and the part of the answer. `reason` is
    /// our own wording, shown to the user.
    Failed { reason: Reason, arrived: Arrived, settled: Option<i64> },
    /// Given up by an administrator: the charge goes back, with the administrator's reason in the ledger.
    Released { actor_id: Option<i64>, note: String },
}

/// What has arrived of an answer when its hold ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    pub text: Option<String>,
    /// What it has besides the text, as JSON.
    pub extras: Option<String>,
    pub usage: Option<Usage>,
    pub first_byte_at: Option<NaiveDateTime>,
}

impl Arrived {
    /// An answer of text alone.
    pub fn text(text: impl Into<String>) -> Arrived {
        Arrived { text: Some(text.into()), ..Arrived::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This call ended it.
    Now {
        balance: i64,
    },
    /// An earlier run of the same operation ended it.
    Earlier {
        balance: i64,
    },
    /// The operation id stands for another operation; nothing was written.
    OtherOperation,
    /// Somebody else had, and the charge is back: what the answer brings is kept, and nothing is charged.
    AlreadyRefunded,
    /// It was complete, or paid for though its client had left, before.
    AlreadyComplete,
    NoSuchChat,
}

/// Why a chat failed that an administrator gave up.
const RELEASED: Reason = "released by an administrator";

/// Why a chat was cancelled.
pub const LEFT: Reason = "the client left";

/// What happens to the charge.
enum Money<'a> {
    Stays,
    /// So much goes back, as it cost less than what was held.
    Settles(i64),
    GoesBack {
        actor_id: Option<i64>,
        note: &'a str,
    },
}

impl Ending {
    /// Answered with text, at the price of a message.
    pub fn answered(text: impl Into<String>) -> Ending {
        Ending::Complete { arrived: Arrived::text(text), cost: None }
    }

    /// Not answered at all.
    pub fn failed(reason: Reason) -> Ending {
        Ending::Failed { reason, arrived: Arrived::default(), settled: None }
    }

    fn state(&self) -> ChatState {
        match self {
            Ending::Complete { .. } => ChatState::Complete,
            Ending::Cancelled { .. } | Ending::LeftEarly => ChatState::Cancelled,
            Ending::Failed { .. } | Ending::Released { .. } => ChatState::Failed,
        }
    }

    fn failure(&self) -> Option<Reason> {
        match self {
            Ending::Complete { .. } => None,
            Ending::Cancelled { .. } | Ending::LeftEarly => Some(LEFT),
            Ending::Failed { reason, .. } => Some(reason),
            Ending::Released { .. } => Some(RELEASED),
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

    /// Never below nothing, and never above what was taken.
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
    // A release comes from a form, whose id may have been used for something else.
    if matches!(ending, Ending::Released { .. })
        && let Earlier::Other = look_up(conn, operation_id, |entry| entry.chat_id == Some(chat_id))?
    {
        return Ok(Ended::OtherOperation);
    }
    let Some(Hold { user_id, charge, balance }) = leave_pending(conn, chat_id, ending, now)? else {
        return already_ended(conn, chat_id, ending, operation_id);
    };
    let (kind, amount, actor_id, note) = match ending.money(charge) {
        Money::Stays => return Ok(Ended::Now { balance }),
        Money::Settles(rest) => (EntryKind::Settlement, rest, None, ""),
        Money::GoesBack { actor_id, note } => {
            // Another try may have the key.
            StoredKey::free(conn, chat_id)?;
            (EntryKind::Refund, charge, actor_id, note)
        }
    };
    let balance = diesel::update(users::table.find(user_id))
        .set(users::tokens.eq(users::tokens + amount))
        .returning(users::tokens)
        .get_result(conn)?;
    let chat_id = Some(chat_id);
    NewEntry { user_id, amount, balance_after: balance, kind, chat_id, actor_id, note, operation_id, now }
        .insert(conn)?;
    Ok(Ended::Now { balance })
}

/// What was known of a chat when it was pending.
struct Hold {
    user_id: i64,
    charge: i64,
    /// The user's balance, in which nothing of this ending is yet.
    balance: i64,
}

/// Takes the chat out of `pending`, with what arrived. `None`: it was not pending any more.
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
    let statement = Statement::<LeavePending, (BigInt, BigInt, BigInt)>::new(
        "UPDATE chats SET state = ?, failure = ?, finished_at = ?, deadline = NULL, response = ?, answer_extras = ?,
             prompt_tokens = ?, completion_tokens = ?,
             usage_estimated = CASE ? WHEN 1 THEN TRUE WHEN 0 THEN FALSE END, first_byte_at = ?
         WHERE id = ? AND state = 'pending'
         RETURNING user_id, charge, (SELECT tokens FROM users WHERE users.id = chats.user_id)",
        vec![
            Bind::Text(ending.state().as_str()),
            Bind::MaybeText(ending.failure()),
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
    let left: Option<(i64, i64, i64)> = match conn {
        DbConnection::Sqlite(conn) => statement.get_result(conn).optional()?,
        DbConnection::Postgres(conn) => statement.get_result(conn).optional()?,
    };
    Ok(left.map(|(user_id, charge, balance)| Hold { user_id, charge, balance }))
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
        // Some of them were refunded.
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

/// Keeps an answer that came when the charge was back already, for nothing.
fn keep_late_answer(conn: &mut DbConnection, chat_id: i64, arrived: &Arrived) -> QueryResult<()> {
    if arrived.text.is_none() && arrived.extras.is_none() {
        return Ok(());
    }
    // A chat whose message was removed with its user's name keeps nothing any more.
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
        // Its words are to be found, too.
        ToFollow::insert(conn, chat_id)?;
    }
    Ok(())
}
