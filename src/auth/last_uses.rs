//! When each auth token was last used. Collected in memory and written once a minute, because a
//! write for each request would cost more than the request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDateTime;

use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::domain::TokenDigest;
use crate::models::AuthToken;

/// The most auth tokens that are remembered between two writes. Uses of further ones are not
/// recorded.
const BOUND: usize = 100_000;

/// The uses since the last write, by the auth token's digest.
#[derive(Debug, Default)]
pub struct LastUses {
    seen: Mutex<HashMap<TokenDigest, NaiveDateTime>>,
}

impl LastUses {
    /// Records a use of an auth token.
    pub fn record(&self, auth_token: TokenDigest, now: NaiveDateTime) {
        let mut seen = self.lock();
        if seen.len() < BOUND || seen.contains_key(&auth_token) {
            seen.insert(auth_token, now);
        }
    }

    /// Writes all uses, in the second lane. Uses that cannot be written now are kept for the next
    /// time, because auth tokens that seem unused may be revoked.
    pub async fn write(&self, db: &Db) {
        let mut uses: Vec<(TokenDigest, NaiveDateTime)> = self.lock().drain().collect();
        // All nodes write in the same order, so that they cannot deadlock on each other's rows.
        uses.sort_unstable_by_key(|(digest, _)| *digest.as_bytes());
        let size = usize::try_from(BULK_ROWS).unwrap_or(1);
        for (number, chunk) in uses.chunks(size).enumerate() {
            let chunk = chunk.to_vec();
            let job = move |conn: &mut DbConnection| {
                for (digest, used_at) in &chunk {
                    AuthToken::touch(conn, *digest, *used_at)?;
                }
                Ok(())
            };
            if let Err(error) = db.write_bulk(Scope::none(), job).await {
                log::warn!("when auth tokens were last used could not be written down: {error}");
                self.put_back(&uses[number * size..]);
                return;
            }
        }
    }

    /// Puts uses back, except where a later use came in the meantime.
    fn put_back(&self, uses: &[(TokenDigest, NaiveDateTime)]) {
        let mut seen = self.lock();
        for (digest, used_at) in uses {
            if seen.len() < BOUND {
                seen.entry(*digest).or_insert(*used_at);
            }
        }
    }

    /// A poisoned lock is safe to use: nothing panics half-way through a change of the map.
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenDigest, NaiveDateTime>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
