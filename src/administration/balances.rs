//! Adjusting a balance, refunding a chat, releasing a hold. `metering` moves the tokens; this
//! module records the action in the audit log.

use super::edit::By;
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, OperationId, Reason};
use crate::error::{Error, Result};
use crate::metering::{
    self, Adjusted, Adjustment, AdjustmentOfMany, Ended, Ending, MOST_TOKENS, Refund, Refunded,
};
use crate::models::{Change, Chat};

/// Parses a signed amount of tokens as people write it: `500`, `+500`, `-1,000`.
///
/// # Errors
///
/// Returns what is wrong with the text, 0 and amounts above any possible balance included.
pub fn parse_amount(text: &str) -> Result<i64, Invalid> {
    let invalid = || Invalid::new("amount", "enter a whole number of tokens, such as 500 or -100");
    let text = text.trim().replace(['\u{2212}', '\u{2013}'], "-");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let amount = sign * whole_number(digits).ok_or_else(invalid)?;
    if amount == 0 {
        return Err(Invalid::new("amount", "0 changes nothing: enter a positive or a negative number"));
    }
    if !(-MOST_TOKENS..=MOST_TOKENS).contains(&amount) {
        return Err(Invalid::new("amount", "this is more than the highest possible balance"));
    }
    Ok(amount)
}

/// Adds tokens to a balance or takes them away. Calling it twice with the same operation id does it
/// once.
pub async fn adjust_balance(
    db: &Db,
    actor: &Actor,
    user_id: i64,
    amount: i64,
    reason: &Reason,
    operation_id: OperationId,
) -> Result<Adjusted> {
    let (actor_id, now) = (actor.user_id, clock::now());
    adjust(
        db,
        actor,
        Adjustment { user_id, amount, note: reason.as_str().to_owned(), actor_id, operation_id, now },
    )
    .await
}

/// Makes an adjustment and records it.
pub async fn adjust(db: &Db, actor: &Actor, adjustment: Adjustment) -> Result<Adjusted> {
    let (actor, scope) = (actor.clone(), Scope::user(adjustment.user_id));
    let job = move |conn: &mut DbConnection| adjust_and_record(conn, &actor, &adjustment);
    db.write(scope, job).await
}

/// Makes an adjustment and records it, in the caller's transaction.
pub(crate) fn adjust_and_record(
    conn: &mut DbConnection,
    actor: &Actor,
    adjustment: &Adjustment,
) -> Result<Adjusted> {
    let adjusted = metering::adjust(conn, adjustment)?;
    if let Adjusted::Done { balance, is_new: true } = adjusted {
        let changes = [Change::new("tokens", balance - adjustment.amount, balance)];
        let event = Event {
            changes: &changes,
            note: &adjustment.note,
            ..Event::about_user(Action::Adjust, adjustment.user_id)
        };
        actor.record(conn, &event, adjustment.now)?;
    }
    Ok(adjusted)
}

/// Records an adjustment of many users, one event for each. `balances` has the ids of the users
/// with their balances afterwards.
pub(super) fn record_adjustments(
    conn: &mut DbConnection,
    actor: &Actor,
    adjustment: &AdjustmentOfMany,
    balances: &[(i64, i64)],
) -> Result<()> {
    let changes: Vec<[Change; 1]> = balances
        .iter()
        .map(|(_, balance)| [Change::new("tokens", balance - adjustment.amount, balance)])
        .collect();
    let events: Vec<Event<'_>> = balances
        .iter()
        .zip(&changes)
        .map(|((user_id, _), changes)| Event {
            changes,
            note: &adjustment.note,
            ..Event::about_user(Action::Adjust, *user_id)
        })
        .collect();
    Ok(actor.record_all(conn, &events, adjustment.now)?)
}

/// Parses a number of digits, with or without commas between groups of three. A comma in another
/// place may be meant as a decimal point, so it is rejected: otherwise `1,50` would become 150.
pub fn whole_number(text: &str) -> Option<i64> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let is_grouped = text.contains(',');
    let fits = !is_grouped || (first.len() <= 3 && groups.all(|group| group.len() == 3));
    let digits = text.replace(',', "");
    let is_plain = !first.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fits && is_plain { digits.parse().ok() } else { None }
}

/// Returns the error for a form whose operation id belongs to another operation.
pub fn reused() -> Error {
    Error::Invalid(Invalid::new("operation", "this form was already used for something else: open it again"))
}

/// Refunds the cost of a chat to its user, once.
///
/// # Errors
///
/// `Internal` if the actor is not a user: the ledger names who made a refund.
pub async fn refund_chat(
    db: &Db,
    actor: &Actor,
    chat_id: i64,
    reason: &Reason,
    operation_id: OperationId,
) -> Result<Refunded> {
    let Some(chat) = db.read_few(move |conn| Ok(Chat::find_cut(conn, chat_id, 0)?)).await? else {
        return Ok(Refunded::NoSuchChat);
    };
    let (actor, now, note) = (actor.clone(), clock::now(), reason.as_str().to_owned());
    let job = move |conn: &mut DbConnection| {
        refund_and_record(conn, &By { actor: &actor, reason: &note, now }, chat_id, operation_id)
    };
    db.write(Scope::user(chat.user_id), job).await
}

/// Does what [`refund_chat`] does in the caller's transaction, which has locked the user.
pub(crate) fn refund_and_record(
    conn: &mut DbConnection,
    by: &By<'_>,
    chat_id: i64,
    operation_id: OperationId,
) -> Result<Refunded> {
    let nobody = || Error::Internal("a refund needs an administrator".to_owned());
    let actor_id = by.actor.user_id.ok_or_else(nobody)?;
    let refund = Refund { chat_id, note: by.reason.to_owned(), actor_id, operation_id, now: by.now };
    let refunded = metering::refund(conn, &refund)?;
    if let Refunded::Done { user_id, amount, balance, is_new: true } = refunded {
        let changes = [Change::new("tokens", balance - amount, balance)];
        record_chat(conn, by, Action::Refund, chat_id, user_id, &changes)?;
    }
    Ok(refunded)
}

/// Ends a hold and refunds its charge. If the answer and the sweeper come later, they find it
/// ended.
pub async fn release_hold(
    db: &Db,
    actor: &Actor,
    chat_id: i64,
    reason: &Reason,
    operation_id: OperationId,
) -> Result<Ended> {
    let Some(chat) = db.read_few(move |conn| Ok(Chat::find_cut(conn, chat_id, 0)?)).await? else {
        return Ok(Ended::NoSuchChat);
    };
    let (actor, now, note) = (actor.clone(), clock::now(), reason.as_str().to_owned());
    let user_id = chat.user_id;
    let job = move |conn: &mut DbConnection| {
        release_and_record(conn, &By { actor: &actor, reason: &note, now }, &chat, operation_id)
    };
    db.write(Scope::user(user_id), job).await
}

/// Does what [`release_hold`] does in the caller's transaction, which has locked the user.
pub(crate) fn release_and_record(
    conn: &mut DbConnection,
    by: &By<'_>,
    chat: &Chat,
    operation_id: OperationId,
) -> Result<Ended> {
    let ending = Ending::Released { actor_id: by.actor.user_id, note: by.reason.to_owned() };
    let ended = metering::end_hold(conn, chat.id, &ending, operation_id, by.now)?;
    if let Ended::Now { balance } = ended {
        let changes = [
            Change::new("state", "pending", "failed"),
            Change::new("tokens", balance - chat.charge, balance),
        ];
        record_chat(conn, by, Action::Release, chat.id, chat.user_id, &changes)?;
    }
    Ok(ended)
}

fn record_chat(
    conn: &mut DbConnection,
    by: &By<'_>,
    action: Action,
    chat_id: i64,
    user_id: i64,
    changes: &[Change],
) -> Result<()> {
    let (kind, user_id, note) = (ObjectKind::Chat, Some(user_id), by.reason);
    Ok(by.actor.record(conn, &Event { action, kind, id: chat_id, user_id, changes, note }, by.now)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let read = |text: &str| parse_amount(text).ok();
        assert_eq!(read(" +500 "), Some(500));
        assert_eq!(read("-1,000"), Some(-1000));
        assert_eq!(read("−100"), Some(-100), "with a minus sign from a text");
        assert_eq!(read("+1,234,567"), Some(1_234_567));
        for bad in [
            "",
            "0",
            "5.5",
            "1,5",
            "100,00",
            "0,5",
            ",500",
            "1234,567",
            "1,",
            "+-5",
            "1 000",
            "1e3",
            "--1",
            "ten",
            "9223372036854775807",
            "99999999999999999999",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
