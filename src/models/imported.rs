//! Rows that an import adds to `chats` and `auth_tokens`, many at once.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};

use crate::db::{Bind, DbConnection, DynamicStatement};
use crate::domain::TokenDigest;
use crate::models::Watermark;
use crate::schema::chats;

/// A chat of another service. It was paid for there, so it has no ledger entry here.
#[derive(Clone, Debug)]
pub struct ImportedChat {
    /// The user who sent it.
    pub user_id: i64,
    /// The user's message.
    pub message: String,
    /// The answer, if one is stored.
    pub response: Option<String>,
    /// When it was sent.
    pub created_at: NaiveDateTime,
}

impl ImportedChat {
    /// Returns when the last chat was sent, of all chats. `None` if there is none.
    pub fn last_time(conn: &mut DbConnection) -> QueryResult<Option<NaiveDateTime>> {
        let last = chats::table.order(chats::id.desc()).select(chats::created_at);
        last.first(conn).optional()
    }

    /// Inserts the chats in their order. Returns their ids, which ascend.
    pub fn insert_all(conn: &mut DbConnection, chats: &[ImportedChat], model: &str) -> QueryResult<Vec<i64>> {
        if chats.is_empty() {
            return Ok(Vec::new());
        }
        Watermark::before_insert(conn)?;
        let ids = next_chat_ids(conn, chats.len())?;
        let row = "(?, ?, ?, ?, ?, 'complete', 0, 'imported', ?, ?)";
        let text = format!(
            "INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at)
             VALUES {}",
            vec![row; chats.len()].join(", ")
        );
        let binds = chats.iter().zip(&ids).flat_map(|(chat, id)| {
            [
                Bind::Integer(*id),
                Bind::Integer(chat.user_id),
                Bind::Text(&chat.message),
                Bind::MaybeText(chat.response.as_deref()),
                Bind::Text(model),
                Bind::Time(chat.created_at),
                Bind::Time(chat.created_at),
            ]
        });
        DynamicStatement::<()>::new(text, binds.collect()).execute(conn)?;
        Ok(ids)
    }
}

/// Draws the ids of the next chats.
fn next_chat_ids(conn: &mut DbConnection, count: usize) -> QueryResult<Vec<i64>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    match conn {
        // Chats are never deleted, and a transaction that writes is alone.
        DbConnection::Sqlite(conn) => {
            let text = "SELECT coalesce(max(id), 0) FROM chats".to_owned();
            let last: i64 = DynamicStatement::<BigInt>::new(text, Vec::new()).get_result(conn)?;
            Ok((last + 1..=last + count).collect())
        }
        DbConnection::Postgres(conn) => {
            let text = "SELECT nextval(pg_get_serial_sequence('chats', 'id')) FROM generate_series(1, ?)";
            let drawn = DynamicStatement::<BigInt>::new(text.to_owned(), vec![Bind::Integer(count)]);
            let mut ids: Vec<i64> = drawn.load(conn)?;
            ids.sort_unstable();
            Ok(ids)
        }
    }
}

/// An auth token of another service.
#[derive(Clone, Debug)]
pub struct ImportedAuthToken {
    /// The user who owns it.
    pub user_id: i64,
    /// The digest of the token.
    pub digest: TokenDigest,
    /// The first characters of the token, by which its owner recognises it.
    pub first_characters: String,
    /// When it was created.
    pub created_at: NaiveDateTime,
}

impl ImportedAuthToken {
    /// Inserts the auth tokens under a name. Returns the ids by digest. One whose digest is stored
    /// already is left out.
    pub fn insert_all(
        conn: &mut DbConnection,
        tokens: &[ImportedAuthToken],
        name: &str,
    ) -> QueryResult<HashMap<Vec<u8>, i64>> {
        if tokens.is_empty() {
            return Ok(HashMap::new());
        }
        let text = format!(
            "INSERT INTO auth_tokens (user_id, digest, first_characters, name, created_at) VALUES {}
             ON CONFLICT (digest) DO NOTHING RETURNING id, digest",
            vec!["(?, ?, ?, ?, ?)"; tokens.len()].join(", ")
        );
        let binds = tokens.iter().flat_map(|token| {
            [
                Bind::Integer(token.user_id),
                Bind::Bytes(token.digest.as_bytes()),
                Bind::Text(&token.first_characters),
                Bind::Text(name),
                Bind::Time(token.created_at),
            ]
        });
        let inserted: Vec<(i64, Vec<u8>)> =
            DynamicStatement::<(BigInt, Binary)>::new(text, binds.collect()).load(conn)?;
        Ok(inserted.into_iter().map(|(id, digest)| (digest, id)).collect())
    }
}
