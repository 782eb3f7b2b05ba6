//! One charge on SQLite, by prepared statements.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::super::replay::seen_before;
use super::super::types::{Charge, Charged, Verdict};
use super::sqlite;
use crate::db::tally::{ChatEnd, note_chats};
use crate::db::{Bind, DbConnection, Statement};
use crate::error::Result;
use crate::metering::entry::NewEntry;
use crate::models::{ChatState, EntryKind, LedgerEntry, StoredKey, User};

/// Runs one charge. With `again`, an earlier COMMIT may have done it, so it is looked up first.
pub(super) fn run(conn: &mut DbConnection, charge: &Charge, again: bool) -> Result<Verdict> {
    if again
        && let Some(entry) = LedgerEntry::find_by_operation(conn, charge.operation_id.as_bytes())?
        && let Some(chat_id) = entry.chat_id
    {
        let (user_id, balance, created_at) = (entry.user_id, entry.balance_after, entry.created_at);
        return Ok(Verdict::Charged(Charged { chat_id, user_id, balance, created_at }));
    }
    charge.run(conn)
}

impl Charge {
    /// Runs the charge in four statements (more with an idempotency key).
    fn run(&self, conn: &mut DbConnection) -> Result<Verdict> {
        if let Some((key, fingerprint)) = &self.key {
            let Some((payer, _)) = User::find_by_auth_token(conn, self.auth_token, self.now)? else {
                return Ok(Verdict::Unauthorized);
            };
            if let Some(stored) = StoredKey::find(conn, payer.id, key.as_str())? {
                return seen_before(conn, &stored, fingerprint, payer.tokens);
            }
        }
        if self.is_hold() && self.too_many_holds(conn)? {
            return Ok(Verdict::TooManyHolds);
        }
        let Some((user_id, balance)) = self.debit(conn)? else {
            let payer = User::find_by_auth_token(conn, self.auth_token, self.now)?;
            return Ok(payer.map_or(Verdict::Unauthorized, |(payer, _)| Verdict::Insufficient {
                balance: payer.tokens,
            }));
        };
        let chat_id = self.insert_chat(conn, user_id)?;
        NewEntry {
            user_id,
            amount: -self.price,
            balance_after: balance,
            kind: EntryKind::Charge,
            chat_id: Some(chat_id),
            actor_id: None,
            note: "",
            operation_id: self.operation_id,
            now: self.now,
        }
        .insert(conn)?;
        if let Some((key, fingerprint)) = &self.key {
            let (key, fingerprint) = (key.as_str().to_owned(), fingerprint.as_bytes().to_vec());
            StoredKey { user_id, key, fingerprint, chat_id, created_at: self.now }.insert(conn)?;
        }
        if !self.is_hold() {
            note_chats(ChatEnd::Complete, 1);
        }
        Ok(Verdict::Charged(Charged { chat_id, user_id, balance, created_at: self.now }))
    }

    /// Returns whether the balance covers the charge but the payer has the most simultaneous holds.
    fn too_many_holds(&self, conn: &mut DbConnection) -> QueryResult<bool> {
        struct CountHolds;
        let statement = Statement::<CountHolds, BigInt>::new(
            "SELECT count(*) FROM users
             WHERE id = (SELECT user_id FROM auth_tokens
                         WHERE digest = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?))
               AND is_active AND tokens >= ?
               AND (SELECT count(*) FROM chats WHERE user_id = users.id AND state = 'pending')
                   >= coalesce(concurrent_chats, ?)",
            vec![
                Bind::Bytes(self.auth_token.as_bytes()),
                Bind::Time(self.now),
                Bind::Integer(self.price),
                Bind::Integer(self.concurrent_chats),
            ],
        );
        let users: i64 = statement.get_result(sqlite(conn)?)?;
        Ok(users > 0)
    }

    /// Debits the balance by a guarded statement: it changes a row only if the balance suffices.
    /// Finding the payer by the auth token is part of the statement, so that a token that was just
    /// revoked cannot pay.
    fn debit(&self, conn: &mut DbConnection) -> QueryResult<Option<(i64, i64)>> {
        struct Debit;
        let statement = Statement::<Debit, (BigInt, BigInt)>::new(
            "UPDATE users SET tokens = tokens - ?
             WHERE id = (SELECT user_id FROM auth_tokens
                         WHERE digest = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?))
               AND is_active AND tokens >= ?
             RETURNING id, tokens",
            vec![
                Bind::Integer(self.price),
                Bind::Bytes(self.auth_token.as_bytes()),
                Bind::Time(self.now),
                Bind::Integer(self.price),
            ],
        );
        statement.get_result(sqlite(conn)?).optional()
    }

    fn insert_chat(&self, conn: &mut DbConnection, user_id: i64) -> QueryResult<i64> {
        struct InsertChat;
        let state = if self.is_hold() { ChatState::Pending } else { ChatState::Complete };
        let statement = Statement::<InsertChat, BigInt>::new(
            "INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at, deadline,
                                conversation_id, endpoint, is_listed)
             VALUES (?, ?, ?, ?, ?, ?, 'live', ?, ?, ?, ?, ?, ?) RETURNING id",
            vec![
                Bind::Integer(user_id),
                Bind::Text(&self.message),
                Bind::MaybeText(self.response.as_deref()),
                Bind::Text(&self.model),
                Bind::Text(state.as_str()),
                Bind::Integer(self.price),
                Bind::Time(self.now),
                Bind::MaybeTime(self.response.is_some().then_some(self.now)),
                Bind::MaybeTime(self.is_hold().then(|| self.now + self.hold_for)),
                Bind::MaybeInteger(self.conversation_id),
                Bind::Text(self.endpoint.code()),
                Bind::Integer(i64::from(self.endpoint.is_listed())),
            ],
        );
        statement.get_result(sqlite(conn)?)
    }
}
