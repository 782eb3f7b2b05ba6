//! The chats of a run: batches in one transaction each.

use std::collections::BTreeMap;

use crate::Result;
use crate::fill::PRICE;
use crate::spent::{Spent, checkpoint};
use crate::sqlite::{Database, Statement};

/// The statements of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Four for each chat.
    Each,
    /// Four for all of them.
    Sets,
}

/// How times are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// `2026-11-30 12:00:00.000000`, as Diesel does.
    Text,
    /// Microseconds.
    Numbers,
}

/// The log is copied after this many chats.
const CHATS_TO_CHECKPOINT: usize = 4096;

pub struct Chats<'a> {
    database: &'a Database,
    batch: usize,
    form: Form,
    times: Times,
    begin: Statement<'a>,
    commit: Statement<'a>,
    next_id: Statement<'a>,
    payers: Statement<'a>,
    debit: Statement<'a>,
    chats: Statement<'a>,
    entries: Statement<'a>,
    digests: Vec<Vec<u8>>,
    before: i64,
    made: i64,
}

impl<'a> Chats<'a> {
    pub fn prepare(database: &'a Database, batch: usize, form: Form, times: Times) -> Result<Chats<'a>> {
        let rows = if form == Form::Each { 1 } else { batch };
        let values = |row: &str| vec![row; rows].join(", ");
        let payers = format!(
            "WITH given (place, digest, now) AS (VALUES {})
             SELECT place, u.id, u.tokens FROM given
             CROSS JOIN auth_tokens t ON t.digest = given.digest AND t.revoked_at IS NULL
                 AND (t.expires_at IS NULL OR t.expires_at > given.now)
             CROSS JOIN users u ON u.id = t.user_id AND u.is_active",
            values("(?, ?, ?)")
        );
        let debit = match form {
            Form::Each => "UPDATE users SET tokens = tokens - ?2 WHERE id = ?1 AND tokens >= ?2".to_owned(),
            Form::Sets => format!(
                "WITH debit (user_id, amount) AS (VALUES {})
                 UPDATE users SET tokens = tokens - debit.amount FROM debit
                 WHERE users.id = debit.user_id AND tokens >= debit.amount",
                values("(?, ?)")
            ),
        };
        let chats = format!(
            "INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at, endpoint)
             VALUES {}",
            values("(?, ?, ?, ?, 'dummy', 'complete', ?, 'live', ?, ?, 'chat')")
        );
        let entries = format!(
            "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
             VALUES {}",
            values("(?, ?, ?, 'charge', ?, ?, ?)")
        );
        let mut made = Chats {
            database,
            batch,
            form,
            times,
            begin: database.prepare("BEGIN IMMEDIATE")?,
            commit: database.prepare("COMMIT")?,
            next_id: database.prepare("SELECT coalesce(max(id), 0) FROM chats")?,
            payers: database.prepare(&payers)?,
            debit: database.prepare(&debit)?,
            chats: database.prepare(&chats)?,
            entries: database.prepare(&entries)?,
            digests: database.blobs("SELECT digest FROM auth_tokens")?,
            before: 0,
            made: 0,
        };
        made.before = made.count()?;
        Ok(made)
    }

    /// Makes `count` chats, and copies the log from time to time.
    pub fn run(&mut self, count: usize) -> Result<Spent> {
        let begun = Spent::so_far()?;
        let mut pages = 0;
        for _ in 0..count / CHATS_TO_CHECKPOINT {
            for _ in 0..CHATS_TO_CHECKPOINT / self.batch {
                self.begin.run()?;
                match self.form {
                    Form::Each => (0..self.batch).try_for_each(|_| self.make(1))?,
                    Form::Sets => self.make(self.batch)?,
                }
                self.commit.run()?;
            }
            pages += checkpoint(self.database)?;
        }
        let ended = Spent::so_far()?;
        let (bytes, cpu) = (ended.bytes - begun.bytes, ended.cpu - begun.cpu);
        Ok(Spent { chats: u64::try_from(count)?, pages, bytes, cpu })
    }

    /// Makes chats with one run of each statement.
    fn make(&mut self, count: usize) -> Result<()> {
        let now = chrono::Utc::now();
        let text = now.naive_utc().format("%F %T%.6f").to_string();
        let bind_time = |statement: &Statement<'_>, index| match self.times {
            Times::Text => statement.bind_text(index, &text).map(|_| ()),
            Times::Numbers => statement.bind_i64(index, now.timestamp_micros()).map(|_| ()),
        };
        for place in 0..count {
            let digest = &self.digests[rand::random_range(0..self.digests.len())];
            let index = i32::try_from(place * 3)?;
            self.payers.bind_i64(index + 1, i64::try_from(place)?)?.bind_blob(index + 2, digest)?;
            self.payers.bind_text(index + 3, &text)?;
        }
        let mut payers = vec![(0, 0); count];
        self.payers.rows(|row| payers[usize::try_from(row.i64(0)).unwrap()] = (row.i64(1), row.i64(2)))?;
        let mut debits: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        let first_id = self.next_id.row()?.i64(0) + 1;
        for (next_id, (place, (user, tokens))) in (first_id..).zip(payers.iter().enumerate()) {
            let debit = debits.entry(*user).or_insert((*tokens, 0));
            *debit = (debit.0 - PRICE, debit.1 + PRICE);
            let message = format!("Message number {:05}", self.made % 100_000);
            let response = format!("Response to {message}");
            let index = i32::try_from(place * 7)?;
            self.chats.bind_i64(index + 1, next_id)?.bind_i64(index + 2, *user)?;
            self.chats.bind_text(index + 3, &message)?.bind_text(index + 4, &response)?;
            self.chats.bind_i64(index + 5, PRICE)?;
            bind_time(&self.chats, index + 6)?;
            bind_time(&self.chats, index + 7)?;
            let index = i32::try_from(place * 6)?;
            self.entries.bind_i64(index + 1, *user)?.bind_i64(index + 2, -PRICE)?;
            self.entries.bind_i64(index + 3, debit.0)?.bind_i64(index + 4, next_id)?;
            self.entries.bind_blob(index + 5, &operation_id())?;
            bind_time(&self.entries, index + 6)?;
            self.made += 1;
        }
        // A row of VALUES that is left over debits nobody.
        for place in 0..count {
            let index = i32::try_from(place * 2)?;
            let (user, (_, amount)) = debits.pop_first().unwrap_or_default();
            self.debit.bind_i64(index + 1, user)?.bind_i64(index + 2, amount)?;
        }
        self.debit.run()?;
        self.chats.run()?;
        self.entries.run()
    }

    fn count(&self) -> Result<i64> {
        let count = self.database.prepare("SELECT count(*) FROM chats")?;
        let row = count.row()?;
        Ok(row.i64(0))
    }

    /// Checks that no chat was lost, and that each was paid for.
    pub fn check(&self) -> Result<()> {
        let debits = self.database.prepare("SELECT sum(?1 - tokens) / ?2 FROM users")?;
        let paid = debits.bind_i64(1, crate::fill::OPENING)?.bind_i64(2, PRICE)?.row()?.i64(0);
        if self.count()? - self.before == self.made && paid == self.made {
            return Ok(());
        }
        Err(format!("{} chats were made, and {paid} paid for", self.made).into())
    }
}

/// Returns an operation id like the server's: 48 bits of time in milliseconds, then 80 random bits.
fn operation_id() -> [u8; 16] {
    let mut id: [u8; 16] = rand::random();
    let milliseconds = chrono::Utc::now().timestamp_millis().to_be_bytes();
    id[..6].copy_from_slice(&milliseconds[2..]);
    id
}
