//! Anonymising a user. The name and all texts are removed, and the amounts stay. The ledger is
//! append-only, so a user is never deleted.

use super::balances::reused;
use super::bulk::{Bulk, BulkRequest, insert};
use super::bulk_kind::BulkKind;
use super::names::{forget_names, names_of};
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::domain::{OperationId, Reason, Username};
use crate::error::{Error, Result};
use crate::index::{erase_forgotten, search};
use crate::models::list::{Condition, Count, ListQuery, Value};
use crate::models::{
    AuditEntry, AuthToken, BulkOperation, Change, Chat, Conversation, Editable, EmbeddingAnswer, FieldValue,
    PanelColumns, PanelSettings, SavedView, Session, StoredKey, StoredResponse, User, UserChanges, UserRows,
    Watermark,
};

/// The outcome of a request to anonymise a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymised {
    /// The name is removed. The bulk operation with this id removes the texts.
    Started(i64),
    /// Nothing was done: the user has open holds, whose answers would be stored afterwards.
    HoldsOpen,
    /// Nothing was done, for this reason.
    Refused(&'static str),
    /// There is no user with this id.
    NoSuchUser,
}

/// How much is removed with a user, and how much stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct WhatGoes {
    /// Chats, whose texts are removed.
    pub chats: Count,
    /// Conversations, which are deleted.
    pub conversations: Count,
    /// Stored responses, which are deleted.
    pub responses: Count,
    /// Auth tokens, which are revoked and lose their names.
    pub auth_tokens: Count,
    /// Sessions, which end.
    pub sessions: Count,
    /// Ledger entries, which stay.
    pub ledger_entries: Count,
}

/// Leaves out deleted conversations, which no longer have a title.
const LIVE_CONVERSATIONS: &str = "conversations.user_id = ? AND conversations.deleted_at IS NULL";

/// Counts what is removed with a user. Each count has a limit.
pub async fn what_goes(db: &Db, user_id: i64) -> Result<WhatGoes> {
    let read = move |conn: &mut DbConnection| {
        let mut count = |from: &'static str, id: &'static str, condition: &'static str| -> Result<Count> {
            let conditions = vec![Condition::leading(condition, vec![Value::Integer(user_id)])];
            let mut query = ListQuery { conditions, ..ListQuery::all(from, id) };
            match from {
                "chats" => UserRows::Chats.narrow(conn, &mut query)?,
                "ledger_entries" => UserRows::LedgerEntries.narrow(conn, &mut query)?,
                _ => {}
            }
            Ok(query.count(conn)?)
        };
        Ok(WhatGoes {
            chats: count("chats", "chats.id", "chats.user_id = ?")?,
            conversations: count("conversations", "conversations.id", LIVE_CONVERSATIONS)?,
            responses: count("responses", "responses.chat_id", "responses.user_id = ?")?,
            auth_tokens: count("auth_tokens", "auth_tokens.id", "auth_tokens.user_id = ?")?,
            sessions: count("sessions", "sessions.id", "sessions.user_id = ?")?,
            ledger_entries: count("ledger_entries", "ledger_entries.id", "ledger_entries.user_id = ?")?,
        })
    };
    db.read(read).await
}

/// Removes the name, the password, the auth tokens and the sessions at once, and starts a bulk
/// operation that removes the texts.
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
        if let Some(id) = BulkOperation::find_by_seed(conn, request.seed.as_bytes())? {
            let earlier = BulkOperation::find(conn, id)?;
            let is_kind = earlier.as_ref().and_then(BulkKind::of) == Some(BulkKind::Anonymise);
            let is_same = is_kind && BulkOperation::ids(conn, id)? == [user_id];
            return if is_same { Ok(Anonymised::Started(id)) } else { Err(reused()) };
        }
        if stored.is_superuser || stored.is_staff {
            return Ok(Anonymised::Refused(
                "remove this user's staff rights first: the history has to name its administrators",
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
        // A name that the server gives need not look unlike all others.
        User::set_skeleton(conn, user_id, &username.skeleton(), false)?;
        // In Django's format, no password matches this hash.
        User::set_password(conn, user_id, "!")?;
        search::index_user(conn, user_id, username.canonical())?;
        AuthToken::revoke_all(conn, user_id, None, now)?;
        Session::delete_all_of(conn, user_id, None)?;
        PanelSettings::delete(conn, user_id)?;
        PanelColumns::delete_all_of(conn, user_id)?;
        SavedView::delete_all_of(conn, user_id)?;
        let active = [Change::new("active", FieldValue::YesNo(stored.is_active), "no")];
        let event = Event { changes: &active, ..Event::about_user(Action::Anonymise, user_id) };
        own_actor.record(conn, &event, now)?;
        // The worker must know the name to look for, and removes it from here at the end.
        let request = BulkRequest { selection: stored.username.clone(), ..request.clone() };
        Ok(Anonymised::Started(insert(conn, &own_actor, &request, None, now)?))
    };
    let done = db.write(Scope::user(user_id), job).await?;
    if let Anonymised::Started(_) = done {
        // The operation exists already, so this only wakes the worker.
        bulk.start(db, actor, restart).await?;
    }
    Ok(done)
}

/// Returns `anonymous-17`, or with a further number if that name is taken.
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

/// Removes the texts of a user's chats and everything else that says who the user was, in parts.
/// After a crash it may run again, and finds less to do.
pub(super) async fn remove_texts(db: &Db, operation: &BulkOperation, user_id: i64) -> Result<()> {
    let mut after = 0;
    loop {
        let part = move |conn: &mut DbConnection| {
            let ids = Chat::ids_of(conn, user_id, after, BULK_ROWS)?;
            // What an earlier run has done must not be noted for the index again.
            Ok((ids.last().copied(), Chat::with_texts_among(conn, &ids)?))
        };
        let (Some(last), ids) = db.read(part).await? else { break };
        after = last;
        if ids.is_empty() {
            continue;
        }
        let job = move |conn: &mut DbConnection| {
            // This comes before the texts. Otherwise the follower could read them and store their
            // words afterwards.
            Watermark::lock(conn, "chats")?;
            StoredResponse::delete_all(conn, user_id, &ids)?;
            Chat::blank(conn, user_id, &ids)?;
            EmbeddingAnswer::forget_of(conn, user_id, &ids)?;
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
    erase_forgotten(db).await?;
    // This operation has the name, too. It comes last: a restart after a crash needs the name.
    let id = operation.id;
    db.write_bulk(Scope::none(), move |conn| Ok(BulkOperation::blank(conn, id, true, false)?)).await?;
    // All of it was overwritten, but the log still has what the pages were before.
    db.empty_log().await
}

/// Blanks the values in the audit log that concern the user. Who did what, and when, stays.
async fn forget_history(db: &Db, user_id: i64) -> Result<()> {
    let mut after = 0;
    loop {
        let ids = db.read(move |conn| Ok(AuditEntry::ids_of_user(conn, user_id, after, BULK_ROWS)?)).await?;
        let Some(last) = ids.last().copied() else { return Ok(()) };
        after = last;
        db.write_bulk(Scope::none(), move |conn| search::blank_entries(conn, &ids)).await?;
    }
}
