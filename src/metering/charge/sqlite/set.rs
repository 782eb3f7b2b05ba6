//! A batch of charges on SQLite. It reads all payers at once, decides about the charges in their
//! order, and then writes what they change by few statements.
//!
//! The balance is guarded twice: a charge is accepted only if the balance that was read covers it,
//! and the statement that debits it changes only rows whose balance covers the whole debit. If it
//! changes fewer than it should, which only a defect can cause, the transaction rolls back.

use std::collections::HashMap;

use super::super::replay::seen_before;
use super::super::types::{Charge, Charged, Verdict};
use super::rows::{self, Accepted};
use super::sqlite;
use crate::db::DbConnection;
use crate::db::tally::{ChatEnd, Moved, note_chats, note_entries};
use crate::error::{Error, Result};
use crate::models::StoredKey;

/// Runs the charges in order, as one set.
pub(super) fn run(conn: &mut DbConnection, charges: &[&Charge]) -> Result<Vec<Option<Verdict>>> {
    let times: Vec<String> = charges.iter().map(|charge| charge.now.to_string()).collect();
    let mut batch = Batch::read(conn, charges, &times)?;
    let decisions: Vec<Decision> = charges
        .iter()
        .enumerate()
        .map(|(place, charge)| batch.decide(conn, place, charge))
        .collect::<Result<_>>()?;
    batch.write(conn, &times)?;
    // The chat of a key may be of this batch, so it is read only now.
    let verdict = |(decision, charge): (Decision, &&Charge)| match (decision, &charge.key) {
        (Decision::Verdict(verdict), _) => Ok(Some(verdict)),
        (Decision::Seen { stored, balance }, Some((_, fingerprint))) => {
            seen_before(conn, &stored, fingerprint, balance).map(Some)
        }
        (Decision::Seen { .. }, None) => Err(Error::Internal("a charge without a key was seen".to_owned())),
    };
    decisions.into_iter().zip(charges).map(verdict).collect()
}

/// What becomes of a charge.
enum Decision {
    Verdict(Verdict),
    /// Its idempotency key is stored, or belongs to an earlier charge of the batch.
    Seen {
        stored: StoredKey,
        /// The balance at this charge's turn.
        balance: i64,
    },
}

/// A user who pays, as the charges so far have left the account.
struct Payer {
    user_id: i64,
    balance: i64,
    /// The sum of the accepted charges. `None` if there are none.
    debit: Option<i64>,
    /// The number of simultaneous holds.
    holds: i64,
    /// The user's own limit of simultaneous holds.
    most_holds: Option<i64>,
}

/// The charges of a batch and their payers.
struct Batch<'a> {
    payers: Vec<Payer>,
    /// For each charge the place of its payer in `payers`. `None` if the charge is unauthorized.
    payer_of: Vec<Option<usize>>,
    accepted: Vec<Accepted<'a>>,
    /// The idempotency keys of the accepted charges.
    keys: HashMap<(i64, &'a str), StoredKey>,
    last_chat_id: i64,
}

impl<'a> Batch<'a> {
    /// Reads all payers.
    fn read(conn: &mut DbConnection, charges: &[&'a Charge], times: &[String]) -> Result<Batch<'a>> {
        let conn = sqlite(conn)?;
        let mut batch = Batch {
            payers: Vec::new(),
            payer_of: vec![None; charges.len()],
            accepted: Vec::with_capacity(charges.len()),
            keys: HashMap::new(),
            last_chat_id: rows::last_chat_id(conn)?,
        };
        let mut places: HashMap<i64, usize> = HashMap::new();
        for found in rows::find_payers(conn, charges, times)? {
            let place = *places.entry(found.user_id).or_insert_with(|| {
                let (user_id, balance, most_holds) = (found.user_id, found.balance, found.most_holds);
                batch.payers.push(Payer { user_id, balance, debit: None, holds: 0, most_holds });
                batch.payers.len() - 1
            });
            if let (Some(payer), Some(holds)) = (batch.payers.get_mut(place), found.holds) {
                payer.holds = holds;
            }
            let charge = usize::try_from(found.place).ok();
            if let Some(payer_of) = charge.and_then(|charge| batch.payer_of.get_mut(charge)) {
                *payer_of = Some(place);
            }
        }
        Ok(batch)
    }

    fn decide(&mut self, conn: &mut DbConnection, place: usize, charge: &'a Charge) -> Result<Decision> {
        let payer = self.payer_of.get(place).copied().flatten();
        let Some(payer) = payer.and_then(|payer| self.payers.get_mut(payer)) else {
            return Ok(Decision::Verdict(Verdict::Unauthorized));
        };
        let (user_id, balance) = (payer.user_id, payer.balance);
        if let Some((key, _)) = &charge.key {
            let stored = match self.keys.get(&(user_id, key.as_str())) {
                Some(stored) => Some(stored.clone()),
                None => StoredKey::find(conn, user_id, key.as_str())?,
            };
            if let Some(stored) = stored {
                return Ok(Decision::Seen { stored, balance });
            }
        }
        if balance < charge.price {
            return Ok(Decision::Verdict(Verdict::Insufficient { balance }));
        }
        if charge.is_hold() {
            if payer.holds >= payer.most_holds.unwrap_or(charge.concurrent_chats) {
                return Ok(Decision::Verdict(Verdict::TooManyHolds));
            }
            payer.holds += 1;
        }
        payer.balance -= charge.price;
        payer.debit = Some(payer.debit.unwrap_or(0) + charge.price);
        self.last_chat_id += 1;
        let (chat_id, balance, created_at) = (self.last_chat_id, payer.balance, charge.now);
        let charged = Charged { chat_id, user_id, balance, created_at };
        if let Some((key, fingerprint)) = &charge.key {
            let (text, fingerprint) = (key.as_str().to_owned(), fingerprint.as_bytes().to_vec());
            let stored = StoredKey { user_id, key: text, fingerprint, chat_id, created_at };
            self.keys.insert((user_id, key.as_str()), stored);
        }
        self.accepted.push(Accepted { place, charge, charged });
        Ok(Decision::Verdict(Verdict::Charged(charged)))
    }

    /// Writes the balances, the chats, the ledger entries and the keys.
    fn write(&mut self, conn: &mut DbConnection, times: &[String]) -> Result<()> {
        let mut debits: Vec<(i64, i64)> =
            self.payers.iter().filter_map(|payer| Some((payer.user_id, payer.debit?))).collect();
        // Neighbours share a page.
        debits.sort_unstable();
        let debited = rows::debit(sqlite(conn)?, &debits)?;
        if debited != debits.len() {
            return Err(Error::Internal("a set of charges debited the wrong number of users".to_owned()));
        }
        rows::insert_chats(sqlite(conn)?, &self.accepted, times)?;
        rows::insert_entries(sqlite(conn)?, &self.accepted, times)?;
        let prices = self.accepted.iter().map(|accepted| accepted.charge.price);
        note_entries(Moved::Charge, self.accepted.len(), prices.fold(0, i64::saturating_add));
        let answered = self.accepted.iter().filter(|accepted| !accepted.charge.is_hold()).count();
        note_chats(ChatEnd::Complete, answered);
        for (_, stored) in self.keys.drain() {
            stored.insert(conn)?;
        }
        Ok(())
    }
}
