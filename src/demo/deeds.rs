//! Writes what administrators do, by the verbs of `administration` and with the same entries in the
//! history.

use chrono::NaiveDateTime;

use super::Story;
use super::books::{Books, UNUSABLE, opened};
use super::plan::Deed;
use super::team::TEAM;
use crate::administration::{
    BulkKind, BulkRequest, By, add_and_record, do_at_once, edit_model_and_record, log_out_and_record,
    refund_and_record, release_and_record, set_active_and_record, set_limits_and_record, undo_and_record,
    undo_reason,
};
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::auth::{open_superuser, revoke_and_record};
use crate::db::DbConnection;
use crate::domain::{OperationId, Reason, Username};
use crate::error::{Error, Result};
use crate::metering::{NewAccount, Price};
use crate::models::{ATTEMPTS, Change, Chat, Editable, Model, ModelChanges, User};

/// The place of the model whose price is by usage.
const PRICED_BY_USAGE: usize = 1;
/// How often a wrong password is entered.
const ATTEMPTS_MADE: i64 = 3;

/// The superuser whose password is printed makes the rest of the team, and one model gets a price
/// by usage.
pub(super) fn begin(
    books: &mut Books,
    conn: &mut DbConnection,
    story: &Story,
    at: NaiveDateTime,
) -> Result<()> {
    for member in &TEAM {
        let (username, password_hash) = match member.name {
            Some(name) => (Username::parse(name).map_err(Error::Invalid)?, UNUSABLE),
            None => (story.terms.superuser.clone(), story.terms.password_hash.as_str()),
        };
        let account = NewAccount {
            username,
            password_hash: password_hash.to_owned(),
            tokens: story.terms.opening_tokens,
            is_superuser: member.is_superuser,
            operation_id: OperationId::generate(),
            now: at,
        };
        let added = match member.name {
            Some(_) => add_and_record(conn, &books.actor(0), &account, true)?,
            None => open_superuser(conn, &account)?,
        };
        books.team.push(opened(added)?);
    }
    price_models(books, conn, story, at)
}

/// Stores the models, as a server does with those of its settings, and reads their prices.
fn price_models(books: &mut Books, conn: &mut DbConnection, story: &Story, at: NaiveDateTime) -> Result<()> {
    let stored: Vec<String> = (0..)
        .zip(&story.models)
        .filter(|(place, _)| !story.is_dummy(*place))
        .map(|(_, name)| name.clone())
        .collect();
    Model::add_missing(conn, &stored)?;
    if let Some(name) = story.models.get(PRICED_BY_USAGE)
        && let Some(model) = Model::find_by_name(conn, name)?
    {
        let unit = story.unit();
        let wanted = ModelChanges {
            base_price: Some(unit / 20),
            prompt_price: Some(unit.saturating_mul(2)),
            completion_price: Some(unit.saturating_mul(6)),
            ..ModelChanges::of(&model)
        };
        edit_model_and_record(conn, &By { actor: &books.actor(0), reason: "", now: at }, model.id, &wanted)?;
    }
    for name in &story.models {
        let model = Model::find_by_name(conn, name)?;
        let price = model.map(|model| Price::of(&model, story.terms.message_price));
        books.prices.push(price.unwrap_or(Price::Message(story.terms.message_price)));
    }
    Ok(())
}

/// Writes what a member of the team does. What cannot be done, because the tokens are spent or the
/// message was not charged, is not done.
pub(super) fn act(
    books: &Books,
    conn: &mut DbConnection,
    member: usize,
    deed: &Deed,
    at: NaiveDateTime,
) -> Result<()> {
    let actor = books.actor(member);
    match deed {
        Deed::SignIn => sign_in(conn, &actor, at),
        Deed::FailToSignIn => fail_to_sign_in(conn, &actor, at),
        Deed::Adjust { person, tokens, reason, number } => {
            let Some(id) = books.id_of(*person) else { return Ok(()) };
            books.adjust(conn, member, (id, *tokens, *reason, numbered(*number)), at)?;
            Ok(())
        }
        Deed::UndoAdjustment { number, reason } => {
            let reason = undo_reason(reason);
            let by = By { actor: &actor, reason: &reason, now: at };
            undo_and_record(conn, &by, numbered(*number))?;
            Ok(())
        }
        Deed::LeaveOnly { person, tokens, reason } => {
            let Some(id) = books.id_of(*person) else { return Ok(()) };
            let surplus = User::find(conn, id)?.map_or(0, |user| user.tokens) - tokens;
            if surplus > 0 {
                books.adjust(conn, member, (id, -surplus, *reason, OperationId::generate()), at)?;
            }
            Ok(())
        }
        Deed::Refund { message, reason } => {
            let Some(sent) = books.sent.get(message) else { return Ok(()) };
            let by = By { actor: &actor, reason, now: at };
            refund_and_record(conn, &by, sent.chat_id, OperationId::generate())?;
            Ok(())
        }
        Deed::Release { message, reason } => {
            let Some(sent) = books.sent.get(message) else { return Ok(()) };
            let Some(chat) = Chat::find(conn, sent.chat_id)? else { return Ok(()) };
            let by = By { actor: &actor, reason, now: at };
            release_and_record(conn, &by, &chat, OperationId::generate())?;
            Ok(())
        }
        Deed::InBulk { kind, people, reason } => {
            act_in_bulk(books, conn, &actor, (*kind, people.as_slice(), *reason), at)
        }
        Deed::SetLimits { .. } | Deed::SetActive { .. } | Deed::LogOut { .. } | Deed::RevokeToken { .. } => {
            change_user(books, conn, &actor, deed, at)
        }
    }
}

/// Writes what an administrator changes of one user, besides the balance.
fn change_user(
    books: &Books,
    conn: &mut DbConnection,
    actor: &Actor,
    deed: &Deed,
    at: NaiveDateTime,
) -> Result<()> {
    match deed {
        Deed::SetLimits { person, limits } => {
            let Some(id) = books.id_of(*person) else { return Ok(()) };
            set_limits_and_record(conn, &By { actor, reason: "", now: at }, id, *limits)?;
        }
        Deed::SetActive { person, is_active, reason } => {
            let Some(id) = books.id_of(*person) else { return Ok(()) };
            set_active_and_record(conn, &By { actor, reason, now: at }, id, *is_active)?;
        }
        Deed::LogOut { person, reason } => {
            let Some(id) = books.id_of(*person) else { return Ok(()) };
            log_out_and_record(conn, &By { actor, reason, now: at }, id)?;
        }
        Deed::RevokeToken { person, reason } => {
            if let (Some(id), Some(token)) = (books.id_of(*person), books.named_token_of(*person)) {
                revoke_and_record(conn, actor, token, id, reason, at)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Returns the id of the adjustment with a number.
fn numbered(number: i64) -> OperationId {
    OperationId::of_row(b"tollgate demo", number)
}

fn sign_in(conn: &mut DbConnection, actor: &Actor, at: NaiveDateTime) -> Result<()> {
    let Some(id) = actor.user_id else { return Ok(()) };
    User::set_last_login(conn, id, at)?;
    Ok(actor.record(conn, &Event::about_user(Action::SignIn, id), at)?)
}

/// Records that somebody entered a wrong password, as the sign-in page does.
fn fail_to_sign_in(conn: &mut DbConnection, actor: &Actor, at: NaiveDateTime) -> Result<()> {
    let changes = [Change::new(ATTEMPTS, "", ATTEMPTS_MADE)];
    let event = Event {
        action: Action::FailSignIn,
        kind: ObjectKind::User,
        id: actor.user_id.unwrap_or(0),
        user_id: actor.user_id,
        changes: &changes,
        note: "",
    };
    let stranger = Actor { user_id: None, address: "203.0.113.99".to_owned() };
    Ok(stranger.record(conn, &event, at)?)
}

fn act_in_bulk(
    books: &Books,
    conn: &mut DbConnection,
    actor: &Actor,
    (kind, people, reason): (BulkKind, &[usize], &str),
    at: NaiveDateTime,
) -> Result<()> {
    let ids: Vec<i64> = people.iter().filter_map(|person| books.id_of(*person)).collect();
    let request = BulkRequest {
        seed: OperationId::generate(),
        kind,
        reason: Reason::parse(reason).map_err(Error::Invalid)?,
        selection: format!("{} users, ticked one by one", ids.len()),
        ids,
    };
    do_at_once(conn, actor, &request, at).map(|_| ())
}
