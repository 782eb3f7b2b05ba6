//! Anonymising a user: who it was and what was said goes, the amounts stay. The ledger is append-only, so a user is
//! never deleted.

use super::Reason;
use super::bulk::{Bulk, BulkKind, BulkRequest, insert};
use super::names::{forget_names, names_of};
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::domain::{OperationId, Username};
use crate::error::{Error, Result};
use crate::index::search;
use crate::models::list::{Condition, Count, ListQuery, Value};
use crate::models::{
    AuditEntry, AuthToken, BulkOperation, Change, Chat, Conversation, Editable, FieldValue, Mark,
    PanelSettings, Session, StoredKey, User, UserChanges,
};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymised {
    /// The name is gone; the bulk operation with this id removes the texts.
    Started(i64),
    /// There are open holds, whose answers would come afterwards.
    HoldsOpen,
    /// Says why.
    Refused(&'static str),
    NoSuchUser,
}

/// What goes with a user, and what stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct WhatGoes {
    pub chats: Count,
    pub conversations: Count,
    pub auth_tokens: Count,
    pub sessions: Count,
    /// These stay, without a name.
    pub ledger_entries: Count,
}

/// Those that were deleted before have no title any more.
const LIVE_CONVERSATIONS: &str = "conversations.user_id = ? AND conversations.deleted_at IS NULL";

/// Counts what goes, each number up to a bound.
pub async fn what_goes(db: &Db, user_id: i64) -> Result<WhatGoes> {
    let read = move |conn: &mut DbConnection| {
        let mut count = |from: &'static str, id: &'static str, condition: &'static str| {
            let conditions = vec![Condition::leading(condition, vec![Value::Integer(user_id)])];
            ListQuery { conditions, ..ListQuery::all(from, id) }.count(conn)
        };
        Ok(WhatGoes {
            chats: count("chats", "chats.id", "chats.user_id = ?")?,
            conversations: count("conversations", "conversations.id", LIVE_CONVERSATIONS)?,
            auth_tokens: count("auth_tokens", "auth_tokens.id", "auth_tokens.user_id = ?")?,
            sessions: count("sessions", "sessions.id", "sessions.user_id = ?")?,
            ledger_entries: count("ledger_entries", "ledger_entries.id", "ledger_entries.user_id = ?")?,
        })
    };
    db.read(read).await
}

/// Takes the name, the password and every way in, at once, and lets a bulk operation remove the texts.
pub async fn anonymise_user(
    db: &Db,
    bulk: &Bulk,
    actor: &Actor,
    user_id: i64,
    seed: OperationId,
) -> Result<Anonymised> {
    let (own_actor, now) = (actor.clone(), clock::now());
    let reason = Reason::parse("anonymised on request").map_err(Error::Invalid)?;
    let selection = format!("user {user_id}");
    let request = BulkRequest { seed, kind: BulkKind::Anonymise, reason, selection, ids: vec![user_id] };
    let restart = request.clone();
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = User::find(conn, user_id)? else { return Ok(Anonymised::NoSuchUser) };
        if BulkOperation::find_by_seed(conn, request.seed.as_bytes())?.is_some() {
            return Ok(Anonymised::Started(insert(conn, &own_actor, &request, now)?));
        }
        if stored.is_superuser || stored.is_staff {
            return Ok(Anonymised::Refused(
                "take the staff rights first: administrators stand in the history",
            ));
        }
        if Chat::has_pending(conn, user_id)? {
            return Ok(Anonymised::HoldsOpen);
        }
        let username = free_name(conn, user_id)?;
        let changes = UserChanges {
            is_active: false,
            is_staff: false,
            is_superuser: false,
            ..UserChanges::of(&stored)
        };
        changes.named(&username).store(conn, &stored)?;
        // What Django stores for a password that nothing fits.
        User::set_password(conn, user_id, "!")?;
        search::index_user(conn, user_id, username.canonical())?;
        AuthToken::revoke_all(conn, user_id, None, now)?;
        Session::delete_all_of(conn, user_id, None)?;
        PanelSettings::delete(conn, user_id)?;
        let active = [Change::new("active", FieldValue::YesNo(stored.is_active), "no")];
        let event = Event { changes: &active, ..Event::about_user(Action::Anonymise, user_id) };
        own_actor.record(conn, &event, now)?;
        // The worker has to know which name to look for; it forgets it when it is done.
        let request = BulkRequest { selection: stored.username.clone(), ..request.clone() };
        Ok(Anonymised::Started(insert(conn, &own_actor, &request, now)?))
    };
    let done = db.write(Scope::user(user_id), job).await?;
    if let Anonymised::Started(_) = done {
        // It is there already: this only wakes the worker.
        bulk.start(db, actor, restart).await?;
    }
    Ok(done)
}

/// `anonymous-17`, or what is still free.
fn free_name(conn: &mut DbConnection, user_id: i64) -> Result<Username> {
    for number in 0..100 {
        let name = if number == 0 {
            format!("anonymous-{user_id}")
        } else {
            format!("anonymous-{user_id}-{number}")
        };
        let name = Username::parse(&name).map_err(Error::Invalid)?;
        let other = User::find_by_name(conn, name.as_str(), name.canonical())?;
        if other.is_none_or(|other| other.id == user_id) {
            return Ok(name);
        }
    }
    Err(Error::Internal("no name is free for an anonymous user".to_owned()))
}

/// Removes the texts of a user's chats and all else that tells who it was, in parts. Running it again, after a crash,
/// finds less to do.
pub(super) async fn remove_texts(db: &Db, operation: &BulkOperation, user_id: i64) -> Result<()> {
    let mut after = 0;
    loop {
        let ids = db.read(move |conn| Ok(Chat::ids_of(conn, user_id, after, BULK_ROWS)?)).await?;
        let Some(last) = ids.last().copied() else { break };
        after = last;
        let job = move |conn: &mut DbConnection| {
            // Before the texts, or the follower could read them and store their words afterwards.
            Mark::lock(conn, "chats")?;
            Chat::blank(conn, &ids)?;
            search::forget_words(conn, &ids)
        };
        db.write_bulk(Scope::none(), job).await?;
    }
    let now = clock::now();
    db.write_in_parts(move |conn, most| Ok(Conversation::delete_of(conn, user_id, most, now)?)).await?;
    db.write_in_parts(move |conn, most| Ok(StoredKey::forget_of(conn, user_id, most)?)).await?;
    db.write_in_parts(move |conn, most| Ok(AuthToken::forget_of(conn, user_id, most)?)).await?;
    let names = names_of(db, user_id, &operation.selection).await?;
    forget_names(db, &names, operation.id).await?;
    forget_history(db, user_id).await?;
    search::erase_forgotten(db).await?;
    // This operation has the name, too: last of all, as a crash before it begins anew.
    let id = operation.id;
    db.write_bulk(Scope::none(), move |conn| Ok(BulkOperation::blank(conn, id, true, false)?)).await
}

/// Takes what was written about the user out of the history: who did what and when stays, the values go.
async fn forget_history(db: &Db, user_id: i64) -> Result<()> {
    let mut after = 0;
    loop {
        let ids = db.read(move |conn| Ok(AuditEntry::ids_of_user(conn, user_id, after, BULK_ROWS)?)).await?;
        let Some(last) = ids.last().copied() else { return Ok(()) };
        after = last;
        db.write_bulk(Scope::none(), move |conn| Ok(AuditEntry::blank(conn, &ids)?)).await?;
    }
}
