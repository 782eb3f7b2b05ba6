//! Tables that keep a bounded number of bytes for each user. Each row has the bytes that were
//! stored for its user before it, so that nothing is added up.

use diesel::prelude::*;

use crate::db::{Bind, DbConnection, DynamicStatement};

/// The most rows that one transaction deletes. A settlement must stay short; the next one goes on.
const MOST_AT_ONCE: u32 = 100;

/// A table whose rows have a `user_id` and `bytes_before`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bounded {
    Responses,
    EmbeddingAnswers,
}

impl Bounded {
    fn name(self) -> &'static str {
        match self {
            Bounded::Responses => "responses",
            Bounded::EmbeddingAnswers => "embedding_answers",
        }
    }

    /// Deletes a user's oldest rows if all together, up to the byte `end`, have more than `most`
    /// bytes. Returns how many it deleted.
    pub(super) fn drop_oldest(
        self,
        conn: &mut DbConnection,
        user_id: i64,
        end: i64,
        most: i64,
    ) -> QueryResult<usize> {
        let first_kept = end - most;
        if first_kept <= 0 {
            return Ok(0);
        }
        // A row that another transaction is deleting need not be waited for.
        let lock = match conn {
            DbConnection::Sqlite(_) => "",
            DbConnection::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        };
        let name = self.name();
        let text = format!(
            "DELETE FROM {name} WHERE chat_id IN (
                 SELECT chat_id FROM {name} WHERE user_id = ? AND bytes_before < ?
                 ORDER BY bytes_before LIMIT {MOST_AT_ONCE} {lock})"
        );
        let statement =
            DynamicStatement::<()>::new(text, vec![Bind::Integer(user_id), Bind::Integer(first_kept)]);
        match conn {
            DbConnection::Sqlite(conn) => statement.execute(conn),
            DbConnection::Postgres(conn) => statement.execute(conn),
        }
    }
}
