//! The charge: who pays is found, the balance goes down by one guarded statement, and the chat and its ledger
//! entry are written, all in one transaction. Charges are nearly all the writes there are, so they are a set
//! command: on PostgreSQL a batch of them is one statement (see `charge_set`).

use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::BigInt;

use super::charge_set;
use super::entry::NewEntry;
use crate::db::{Bind, DbConnection, SetCommand, Statement};
use crate::domain::{Fingerprint, IdempotencyKey, OperationId, TokenDigest};
use crate::error::Result;
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry, MOST_READ, StoredKey, User};

/// A chat to be charged.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Whose auth token it is pays.
    pub auth_token: TokenDigest,
    pub message: String,
    pub model: String,
    /// Tokens taken now: the price, or the most that it can cost.
    pub price: i64,
    /// The answer, where there is one already: then the chat is complete at once. Else it is a hold.
    pub response: Option<String>,
    /// How long a hold may last before the sweeper refunds it.
    pub hold_for: Duration,
    /// How many holds a user may have who has no limit of their own.
    pub concurrent_chats: i64,
    pub conversation_id: Option<i64>,
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    pub operation_id: OperationId,
    /// This node's time. PostgreSQL uses its own.
    pub now: NaiveDateTime,
}

/// What came of a charge. All but [`Verdict::Charged`] have written nothing.
#[derive(Clone, Debug)]
pub enum Verdict {
    Charged(Charged),
    /// The auth token is unknown, revoked or expired, or its user is deactivated.
    Unauthorized,
    Insufficient {
        balance: i64,
    },
    /// The user has as many holds as may be.
    TooManyHolds,
    /// The idempotency key has an answer already.
    Replay {
        chat: Box<Chat>,
        balance: i64,
    },
    /// The first request with this idempotency key is still being answered.
    InFlight,
    /// The idempotency key was used for another request.
    KeyReused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    pub chat_id: i64,
    pub user_id: i64,
    /// The balance after the charge.
    pub balance: i64,
    /// The time of the charge, on PostgreSQL by the database's clock.
    pub created_at: NaiveDateTime,
}

impl SetCommand for Charge {
    type Answer = Verdict;

    /// Nearly every user has one auth token in use, so sharing out by it shares out the users.
    fn shard(&self) -> usize {
        let bytes = self.auth_token.as_bytes().iter().take(size_of::<usize>());
        bytes.fold(0, |shard, byte| shard << 8 | usize::from(*byte))
    }

    fn run(conn: &mut DbConnection, charges: &[&Charge], again: bool) -> Result<Vec<Option<Verdict>>> {
        match conn {
            DbConnection::Postgres(_) => charge_set::run(conn, charges, again),
            // SQLite has one writer, so nobody else holds a lock.
            DbConnection::Sqlite(_) => {
                charges.iter().map(|charge| charge.run_on_sqlite(conn, again).map(Some)).collect()
            }
        }
    }
}

impl Charge {
    fn run_on_sqlite(&self, conn: &mut DbConnection, again: bool) -> Result<Verdict> {
        if again
            && let Some(entry) = LedgerEntry::find_by_operation(conn, self.operation_id.as_bytes())?
            && let Some(chat_id) = entry.chat_id
        {
            let (user_id, balance, created_at) = (entry.user_id, entry.balance_after, entry.created_at);
            return Ok(Verdict::Charged(Charged { chat_id, user_id, balance, created_at }));
        }
        self.run_single(conn)
    }

    /// One charge on SQLite, in four statements (more with an idempotency key).
    fn run_single(&self, conn: &mut DbConnection) -> Result<Verdict> {
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
        Ok(Verdict::Charged(Charged { chat_id, user_id, balance, created_at: self.now }))
    }

    /// Whether it has no answer yet.
    pub(super) fn is_hold(&self) -> bool {
        self.response.is_none()
    }

    /// Whether the payer has enough for this, but as many holds as may be.
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

    /// The guarded debit: it changes a row only if its balance suffices. Finding the payer by the auth token is
    /// part of the statement, so nobody is charged by a token that was revoked a moment ago.
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
                                conversation_id)
             VALUES (?, ?, ?, ?, ?, ?, 'live', ?, ?, ?, ?) RETURNING id",
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
            ],
        );
        statement.get_result(sqlite(conn)?)
    }
}

fn sqlite(conn: &mut DbConnection) -> QueryResult<&mut SqliteConnection> {
    match conn {
        DbConnection::Sqlite(conn) => Ok(conn),
        DbConnection::Postgres(_) => {
            Err(DieselError::QueryBuilderError("a single charge is for SQLite".into()))
        }
    }
}

/// What a request gets whose idempotency key is known.
pub(super) fn seen_before(
    conn: &mut DbConnection,
    stored: &StoredKey,
    fingerprint: &Fingerprint,
    balance: i64,
) -> Result<Verdict> {
    if stored.fingerprint != fingerprint.as_bytes() {
        return Ok(Verdict::KeyReused);
    }
    Ok(match Chat::find_cut(conn, stored.chat_id, MOST_READ)? {
        Some(chat) if chat.state != ChatState::Pending => Verdict::Replay { chat: Box::new(chat), balance },
        _ => Verdict::InFlight,
    })
}
