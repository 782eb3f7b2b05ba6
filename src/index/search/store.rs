//! Stores the terms by which rows are found, and deletes them again.

use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryResult, RunQueryDsl, SqliteConnection};

use super::terms::{Term, address_terms, blocks_of, joined, marks, name_parts};
use super::{SearchIndex, watermark};
use crate::db::{Bind, DbConnection, DynamicStatement, Statement};
use crate::error::Result;
use crate::models::{AuditEntry, Chat, IndexChange, LedgerEntry, User, Watermark};

/// About the most bytes of terms that one statement inserts on PostgreSQL.
const MOST_INSERTED: usize = 1024 * 1024;

/// Stores the terms by which rows are found. `rows` are made one by one, because the terms of a
/// batch are several times as long as its texts.
pub(crate) fn insert(
    conn: &mut DbConnection,
    index: SearchIndex,
    rows: impl IntoIterator<Item = (i64, String)>,
) -> QueryResult<()> {
    match conn {
        DbConnection::Sqlite(conn) => rows.into_iter().try_for_each(|(id, terms)| {
            let binds = vec![Bind::Integer(id), Bind::Text(&terms)];
            insert_one(conn, index, binds).map(|_| ())
        }),
        // One statement for many rows, since a round trip takes longer than storing a row. Each
        // line has the id first. A statement has a time limit, so long texts go in several.
        DbConnection::Postgres(conn) => {
            let mut lines = String::new();
            for (id, terms) in rows {
                if !lines.is_empty() {
                    lines.push('\n');
                }
                lines.push_str(&format!("{id} {terms}"));
                if lines.len() >= MOST_INSERTED {
                    insert_lines(conn, index, &lines)?;
                    lines.clear();
                }
            }
            if lines.is_empty() { Ok(()) } else { insert_lines(conn, index, &lines) }
        }
    }
}

/// Stores rows on PostgreSQL, one in each line: the id and the terms, with blanks between them.
fn insert_lines(conn: &mut PgConnection, index: SearchIndex, lines: &str) -> QueryResult<()> {
    let text = format!(
        "INSERT INTO {} (id, terms)
         SELECT CAST(line[1] AS BIGINT), array_to_tsvector(array_remove(line[2:], ''))
         FROM (SELECT string_to_array(text, ' ') AS line
               FROM unnest(string_to_array(?, chr(10))) AS text) AS lines",
        index.table()
    );
    DynamicStatement::<()>::new(text, vec![Bind::Text(lines)]).execute(conn).map(|_| ())
}

fn insert_one(conn: &mut SqliteConnection, index: SearchIndex, binds: Vec<Bind<'_>>) -> QueryResult<usize> {
    struct IntoChats;
    struct IntoUsers;
    struct IntoReasons;
    struct IntoHistory;
    match index {
        SearchIndex::Chats => {
            let text = "INSERT INTO chat_search (rowid, terms) VALUES (?, ?)";
            Statement::<IntoChats>::new(text, binds).execute(conn)
        }
        SearchIndex::Users => {
            let text = "INSERT INTO user_search (rowid, terms) VALUES (?, ?)";
            Statement::<IntoUsers>::new(text, binds).execute(conn)
        }
        SearchIndex::Reasons => {
            let text = "INSERT INTO reason_search (rowid, terms) VALUES (?, ?)";
            Statement::<IntoReasons>::new(text, binds).execute(conn)
        }
        SearchIndex::History => {
            let text = "INSERT INTO history_search (rowid, terms) VALUES (?, ?)";
            Statement::<IntoHistory>::new(text, binds).execute(conn)
        }
    }
}

/// Returns the terms of a user's name, as [`insert`] takes them.
pub fn name_terms(id: i64, canonical_name: &str) -> String {
    joined(&[], name_parts(canonical_name).into_iter().chain(blocks_of(id)))
}

/// Makes a user findable by a new name, in the transaction that renames the user. On SQLite the
/// follower does it soon after.
pub fn index_user(conn: &mut DbConnection, user_id: i64, canonical_name: &str) -> QueryResult<()> {
    if let DbConnection::Sqlite(conn) = conn {
        return IndexChange::User(user_id).insert(conn).map(|_| ());
    }
    Watermark::lock(conn, "users")?;
    replace_name(conn, user_id, canonical_name)
}

/// Makes a user findable by the name that is stored now.
pub(crate) fn index_again(conn: &mut DbConnection, user_id: i64) -> QueryResult<()> {
    match User::find(conn, user_id)? {
        Some(user) => replace_name(conn, user_id, &user.username_canonical),
        None => Ok(()),
    }
}

/// Replaces the terms of a name. If the follower has not reached the user yet, it will read the new
/// name itself.
fn replace_name(conn: &mut DbConnection, user_id: i64, canonical_name: &str) -> QueryResult<()> {
    forget(conn, SearchIndex::Users, &[user_id])?;
    if watermark(conn, SearchIndex::Users)? < user_id {
        return Ok(());
    }
    insert(conn, SearchIndex::Users, [(user_id, name_terms(user_id, canonical_name))])
}

/// Returns the terms of a chat: the words of message and response, and its marks.
pub(crate) fn chat_terms(chat: &Chat) -> String {
    joined(&[&chat.message, chat.response.as_deref().unwrap_or_default()], marks_of(chat))
}

/// Returns the marks of a chat, without the words of its texts.
pub(crate) fn chat_marks(chat: &Chat) -> String {
    joined(&[], marks_of(chat))
}

fn marks_of(chat: &Chat) -> Vec<Term> {
    let mut marks = marks(chat.id, chat.user_id, chat.state.as_str(), &chat.model);
    if let Some(code) = &chat.endpoint {
        marks.extend([Term::endpoint(code), Term::any_endpoint()]);
    }
    marks
}

/// Returns the terms of a ledger entry: the words of its reason, and its marks. `None` if it has no
/// reason: charges are not in the index.
pub fn reason_terms(entry: &LedgerEntry) -> Option<(i64, String)> {
    let marks = [Term::user(entry.user_id), Term::kind(entry.kind.as_str())];
    let marks = marks.into_iter().chain(entry.actor_id.map(Term::actor)).chain(blocks_of(entry.id));
    (!entry.note.is_empty()).then(|| (entry.id, joined(&[&entry.note], marks)))
}

/// Returns the terms of an entry of the history: the words of its reason and of what was changed,
/// the beginnings of the address, and marks for what it names by its id. A name may change, so the
/// names of users are no terms.
pub fn history_terms(entry: &AuditEntry) -> (i64, String) {
    let object = [Term::kind(&entry.object_kind.replace(' ', "_")), Term::object(entry.object_id)];
    let users = entry.actor_id.map(Term::actor).into_iter().chain(entry.user_id.map(Term::user));
    let marks = object.into_iter().chain([Term::action(&entry.action)]).chain(users);
    let marks = marks.chain(address_terms(&entry.address)).chain(blocks_of(entry.id));
    let changes = entry.changes();
    // Counters change while the entry is in the index.
    let changes = changes.iter().filter(|change| !change.is_counter());
    let texts = changes.flat_map(|change| [change.before.as_str(), change.after.as_str()]);
    let texts: Vec<&str> = texts.chain([entry.note.as_str()]).collect();
    (entry.id, joined(&texts, marks))
}

/// Removes the values and reasons of entries of the history, and their words from the index. On
/// SQLite the follower does that soon after; [`erase_forgotten`](crate::index::erase_forgotten)
/// waits for it.
pub fn blank_entries(conn: &mut DbConnection, ids: &[i64]) -> Result<()> {
    // Otherwise the follower could read the words now and store them afterwards.
    Watermark::lock(conn, "audit_log")?;
    let blanked = AuditEntry::blank(conn, ids)?;
    if let DbConnection::Sqlite(conn) = conn {
        for id in blanked {
            IndexChange::Entry(id).insert(conn)?;
        }
        return Ok(());
    }
    Ok(entries_again(conn, &blanked)?)
}

/// Makes entries of the history findable by what they have now. Deleted ones are removed from the
/// index, and those that the follower has not reached are left to it.
pub(crate) fn entries_again(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<()> {
    let known = known(conn, SearchIndex::History, ids)?;
    forget(conn, SearchIndex::History, &known)?;
    let entries = AuditEntry::find_many(conn, &known)?;
    insert(conn, SearchIndex::History, entries.iter().map(history_terms))
}

/// Deletes the words of chats from the index, in the transaction that removes their texts. The
/// caller has locked the follower's watermark, so chats that the follower has not reached yet will
/// be stored without words. On SQLite the follower does it soon after;
/// [`erase_forgotten`](crate::index::erase_forgotten) waits for it.
pub fn forget_words(conn: &mut DbConnection, ids: &[i64]) -> Result<()> {
    if let DbConnection::Sqlite(conn) = conn {
        for id in ids {
            IndexChange::Chat(*id).insert(conn)?;
        }
        return Ok(());
    }
    let known = known_chats(conn, ids)?;
    forget_chats(conn, &known)?;
    let chats = Chat::find_many(conn, &known)?;
    Ok(insert(conn, SearchIndex::Chats, chats.iter().map(|chat| (chat.id, chat_marks(chat))))?)
}

/// Returns those of `ids` that are in the index.
pub(crate) fn known_chats(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
    known(conn, SearchIndex::Chats, ids)
}

fn known(conn: &mut DbConnection, index: SearchIndex, ids: &[i64]) -> QueryResult<Vec<i64>> {
    let (list, id) = (listed(ids), id_column(conn));
    let text = format!("SELECT {id} FROM {} WHERE {id} IN ({list})", index.table());
    DynamicStatement::<BigInt>::new(text, Vec::new()).load(conn)
}

/// Deletes chats from the index.
pub(crate) fn forget_chats(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<()> {
    forget(conn, SearchIndex::Chats, ids)
}

fn listed(ids: &[i64]) -> String {
    if ids.is_empty() {
        "NULL".to_owned()
    } else {
        ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
    }
}

fn id_column(conn: &DbConnection) -> &'static str {
    if matches!(conn, DbConnection::Sqlite(_)) { "rowid" } else { "id" }
}

fn forget(conn: &mut DbConnection, index: SearchIndex, ids: &[i64]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let text = format!("DELETE FROM {} WHERE {} IN ({})", index.table(), id_column(conn), listed(ids));
    DynamicStatement::<()>::new(text, Vec::new()).execute(conn).map(|_| ())
}
