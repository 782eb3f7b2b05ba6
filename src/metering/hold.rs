//! How a hold ends: settled or refunded, by whoever gets there first.
//!
//! The answer, the sweeper and an administrator may all try. The one whose UPDATE changed the row from `pending`
//! moves the money; the others see that it is done.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::entry::NewEntry;
use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry, StoredKey, ToFollow};
use crate::schema::{chats, users};

/// What a pending chat came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Answered: the charge stays.
    Complete { response: String },
    /// Not answered: the charge goes back. `reason` is a word of ours, shown to the user.
    Failed { reason: &'static str },
    /// Given up by an administrator: the charge goes back, with the administrator's reason in the ledger.
    Released { actor_id: Option<i64>, note: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This call ended it.
    Now {
        balance: i64,
    },
    /// Somebody else had, and the charge is back: what the answer brings is kept, and nothing is charged.
    AlreadyRefunded,
    /// It was complete before.
    AlreadyComplete,
    NoSuchChat,
}

/// Why a chat failed that an administrator gave up.
const RELEASED: &str = "released by an administrator";

/// Ends a hold. A second run of the same operation finds what the first one did.
pub fn end_hold(
    conn: &mut DbConnection,
    chat_id: i64,
    ending: &Ending,
    operation_id: OperationId,
    now: NaiveDateTime,
) -> QueryResult<Ended> {
    let target =
        chats::table.filter(chats::id.eq(chat_id)).filter(chats::state.eq(ChatState::Pending.as_str()));
    let (state, response, failure) = match ending {
        Ending::Complete { response } => (ChatState::Complete, Some(response.as_str()), None),
        Ending::Failed { reason } => (ChatState::Failed, None, Some(*reason)),
        Ending::Released { .. } => (ChatState::Failed, None, Some(RELEASED)),
    };
    let ended: Option<(i64, i64)> = diesel::update(target)
        .set((
            chats::state.eq(state.as_str()),
            chats::response.eq(response),
            chats::failure.eq(failure),
            chats::finished_at.eq(Some(now)),
            chats::deadline.eq(None::<NaiveDateTime>),
        ))
        .returning((chats::user_id, chats::charge))
        .get_result(conn)
        .optional()?;
    match (ended, ending) {
        (Some((user_id, charge)), Ending::Failed { .. }) => {
            let balance = give_back(conn, (user_id, chat_id, charge), (None, ""), operation_id, now)?;
            Ok(Ended::Now { balance })
        }
        (Some((user_id, charge)), Ending::Released { actor_id, note }) => {
            let balance = give_back(conn, (user_id, chat_id, charge), (*actor_id, note), operation_id, now)?;
            Ok(Ended::Now { balance })
        }
        (Some((user_id, _)), Ending::Complete { .. }) => {
            let balance = users::table.find(user_id).select(users::tokens).get_result(conn)?;
            Ok(Ended::Now { balance })
        }
        (None, _) => already_ended(conn, chat_id, ending, operation_id),
    }
}

/// The whole charge goes back, and the idempotency key is free for another try.
fn give_back(
    conn: &mut DbConnection,
    (user_id, chat_id, charge): (i64, i64, i64),
    (actor_id, note): (Option<i64>, &str),
    operation_id: OperationId,
    now: NaiveDateTime,
) -> QueryResult<i64> {
    let balance = diesel::update(users::table.find(user_id))
        .set(users::tokens.eq(users::tokens + charge))
        .returning(users::tokens)
        .get_result(conn)?;
    NewEntry {
        user_id,
        amount: charge,
        balance_after: balance,
        kind: EntryKind::Refund,
        chat_id: Some(chat_id),
        actor_id,
        note,
        operation_id,
        now,
    }
    .insert(conn)?;
    StoredKey::free(conn, chat_id)?;
    Ok(balance)
}

fn already_ended(
    conn: &mut DbConnection,
    chat_id: i64,
    ending: &Ending,
    operation_id: OperationId,
) -> QueryResult<Ended> {
    if let Some(entry) = LedgerEntry::find_by_operation(conn, operation_id.as_bytes())? {
        return Ok(Ended::Now { balance: entry.balance_after });
    }
    let Some(chat) = Chat::find(conn, chat_id)? else { return Ok(Ended::NoSuchChat) };
    if chat.state == ChatState::Complete {
        return Ok(Ended::AlreadyComplete);
    }
    if let Ending::Complete { response } = ending {
        // A chat whose message was removed with its user's name keeps nothing any more.
        let late = chats::table
            .filter(chats::id.eq(chat_id))
            .filter(chats::response.is_null())
            .filter(chats::message.ne(""));
        if diesel::update(late).set(chats::response.eq(response)).execute(conn)? == 1 {
            // Its words are to be found, too.
            ToFollow::insert(conn, chat_id)?;
        }
    }
    Ok(Ended::AlreadyRefunded)
}
