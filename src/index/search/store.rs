//! Stores the terms by which rows are found, and deletes them again.

use std::collections::BTreeSet;

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;

use super::terms::{LARGE_BLOCK, SMALL_BLOCK, Term, marks, trigrams, words};
use super::{SearchIndex, watermark};
use crate::db::{Bind, Db, DbConnection, DynamicStatement, Scope, Statement};
use crate::error::Result;
use crate::models::{Chat, Watermark};

/// Stores the terms by which rows are found.
pub(crate) fn insert(conn: &mut DbConnection, index: SearchIndex, rows: &[(i64, String)]) -> QueryResult<()> {
    match conn {
        DbConnection::Sqlite(conn) => rows.iter().try_for_each(|(id, terms)| {
            struct IntoChats;
            struct IntoUsers;
            let binds = vec![Bind::Integer(*id), Bind::Text(terms)];
            let inserted = match index {
                SearchIndex::Chats => {
                    let text = "INSERT INTO chat_search (rowid, terms) VALUES (?, ?)";
                    Statement::<IntoChats>::new(text, binds).execute(conn)
                }
                SearchIndex::Users => {
                    let text = "INSERT INTO user_search (rowid, terms) VALUES (?, ?)";
                    Statement::<IntoUsers>::new(text, binds).execute(conn)
                }
            };
            inserted.map(|_| ())
        }),
        // One statement for all rows, since a round trip takes longer than storing a row. Each line
        // has the id first.
        DbConnection::Postgres(conn) => {
            let lines: Vec<String> = rows.iter().map(|(id, terms)| format!("{id} {terms}")).collect();
            let lines = lines.join("\n");
            let text = format!(
                "INSERT INTO {} (id, terms)
                 SELECT CAST(line[1] AS BIGINT), array_to_tsvector(array_remove(line[2:], ''))
                 FROM (SELECT string_to_array(text, ' ') AS line
                       FROM unnest(string_to_array(?, chr(10))) AS text) AS lines",
                index.table()
            );
            DynamicStatement::<()>::new(text, vec![Bind::Text(&lines)]).execute(conn).map(|_| ())
        }
    }
}

/// Returns the terms of a user's name, as [`insert`] takes them.
pub fn name_terms(id: i64, canonical_name: &str) -> String {
    let blocks = [Term::block(id, SMALL_BLOCK), Term::block(id, LARGE_BLOCK)];
    joined(trigrams(canonical_name).into_iter().chain(blocks))
}

/// Joins terms with blanks.
pub fn joined(terms: impl IntoIterator<Item = Term>) -> String {
    let terms: BTreeSet<Term> = terms.into_iter().collect();
    terms.iter().map(Term::as_str).collect::<Vec<_>>().join(" ")
}

/// Makes a user findable by a new name. If the follower has not reached the user yet, it will read
/// the new name itself.
pub fn index_user(conn: &mut DbConnection, user_id: i64, canonical_name: &str) -> QueryResult<()> {
    Watermark::lock(conn, "users")?;
    forget(conn, SearchIndex::Users, &[user_id])?;
    if watermark(conn, SearchIndex::Users)? < user_id {
        return Ok(());
    }
    insert(conn, SearchIndex::Users, &[(user_id, name_terms(user_id, canonical_name))])
}

/// Returns the terms of a chat: the words of message and response, and its marks.
pub(crate) fn chat_terms(chat: &Chat) -> String {
    let said = [Some(&chat.message), chat.response.as_ref()].into_iter().flatten();
    joined(said.flat_map(|text| words(text)).chain(marks_of(chat)))
}

/// Returns the marks of a chat, without the words of its texts.
pub(crate) fn chat_marks(chat: &Chat) -> String {
    joined(marks_of(chat))
}

fn marks_of(chat: &Chat) -> Vec<Term> {
    marks(chat.id, chat.user_id, chat.state.as_str(), &chat.model)
}

/// Deletes the words of chats from the index. The caller has locked the follower's watermark, so
/// chats that the follower has not reached yet will be stored without words.
pub fn forget_words(conn: &mut DbConnection, ids: &[i64]) -> Result<()> {
    let known = known_chats(conn, ids)?;
    forget_chats(conn, &known)?;
    for chat in Chat::find_many(conn, &known)? {
        insert(conn, SearchIndex::Chats, &[(chat.id, chat_marks(&chat))])?;
    }
    Ok(())
}

/// Returns those of `ids` that are in the index.
pub(crate) fn known_chats(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
    let (list, id) = (listed(ids), id_column(conn));
    let text = format!("SELECT {id} FROM chat_search WHERE {id} IN ({list})");
    DynamicStatement::<BigInt>::new(text, Vec::new()).load(conn)
}

/// Deletes chats from the index.
pub(crate) fn forget_chats(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<()> {
    forget(conn, SearchIndex::Chats, ids)
}

/// The number of index pages that one job rewrites.
const MERGED_PAGES: i64 = 200;

/// Erases the words of deleted and anonymised rows. SQLite's index only notes that a row is gone,
/// and keeps its words until their part is merged with another. So all parts are merged, a little
/// at a time. SQLite's statistics have samples of names. PostgreSQL keeps the words until the next
/// VACUUM.
pub async fn erase_forgotten(db: &Db) -> Result<()> {
    if db.url().is_postgres() {
        return Ok(());
    }
    for index in [SearchIndex::Chats, SearchIndex::Users] {
        let mut pages = -MERGED_PAGES;
        while db.write_bulk(Scope::none(), move |conn| Ok(merge(conn, index, pages)?)).await? {
            // A negative number begins a merge; a positive one continues it.
            pages = MERGED_PAGES;
        }
    }
    db.write_bulk(Scope::none(), |conn| Ok(forget_samples(conn)?)).await
}

/// Merges up to `pages` pages of the index. Returns whether there were any to merge.
fn merge(conn: &mut DbConnection, index: SearchIndex, pages: i64) -> QueryResult<bool> {
    let changes = |conn: &mut DbConnection| -> QueryResult<i64> {
        DynamicStatement::<BigInt>::new("SELECT total_changes()".to_owned(), Vec::new()).get_result(conn)
    };
    let before = changes(conn)?;
    let table = index.table();
    let text = format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)");
    DynamicStatement::<()>::new(text, vec![Bind::Integer(pages)]).execute(conn)?;
    // The command itself counts as one change.
    Ok(changes(conn)? - before >= 2)
}

fn forget_samples(conn: &mut DbConnection) -> QueryResult<()> {
    let text = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat4'";
    let is_there: i64 = DynamicStatement::<BigInt>::new(text.to_owned(), Vec::new()).get_result(conn)?;
    if is_there == 0 {
        return Ok(());
    }
    DynamicStatement::<()>::new("DELETE FROM sqlite_stat4".to_owned(), Vec::new()).execute(conn).map(|_| ())
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
