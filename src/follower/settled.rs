//! Up to which id nothing more can appear.
//!
//! SQLite has one writer, so ids appear in their order. On PostgreSQL a transaction draws its ids before it commits, and
//! a later one may commit first. Each of ours has its transaction id before it draws one of these ids: it locks or writes
//! a user's row first, and one that opens an account asks for its number. So what was visible together with a snapshot is settled once all transactions that were
//! open then have ended.

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;

use super::Followed;
use crate::db::{DbConnection, DynamicStatement};

/// For each table the highest id that was visible, and the transaction id before which all must have ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled([(i64, i64); 3]);

/// What a look has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    highest: i64,
    /// The first transaction id that was not given out yet.
    next_transaction: i64,
    /// The oldest transaction that is still open.
    oldest_open: i64,
}

pub(super) fn look(conn: &mut DbConnection, followed: Followed) -> QueryResult<Seen> {
    let table = followed.table();
    let text = match conn {
        DbConnection::Sqlite(_) => format!("SELECT coalesce(max(id), 0), 0, 0 FROM {table}"),
        DbConnection::Postgres(_) => format!(
            "SELECT coalesce(max(id), 0), CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT),
                    CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)
             FROM {table}"
        ),
    };
    let row: (i64, i64, i64) =
        DynamicStatement::<(BigInt, BigInt, BigInt)>::new(text, Vec::new()).get_result(conn)?;
    Ok(Seen { highest: row.0, next_transaction: row.1, oldest_open: row.2 })
}

impl Settled {
    /// Takes in what was seen; answers up to which id the table is settled.
    pub fn take_in(&mut self, followed: Followed, seen: Seen) -> i64 {
        let place = Followed::ALL.iter().position(|other| *other == followed).unwrap_or_default();
        let Some(remembered) = self.0.get_mut(place) else { return 0 };
        if seen.oldest_open >= seen.next_transaction {
            // Nothing is open at all.
            *remembered = (seen.highest, seen.next_transaction);
            return seen.highest;
        }
        let (highest, before) = *remembered;
        if seen.oldest_open >= before {
            *remembered = (seen.highest, seen.next_transaction);
            return highest;
        }
        0
    }
}

pub(super) fn highest(conn: &mut DbConnection, followed: Followed) -> QueryResult<i64> {
    let text = format!("SELECT coalesce(max(id), 0) FROM {}", followed.table());
    DynamicStatement::<BigInt>::new(text, Vec::new()).get_result(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(highest: i64, oldest_open: i64, next_transaction: i64) -> Seen {
        Seen { highest, next_transaction, oldest_open }
    }

    #[test]
    fn an_id_is_settled_when_all_that_were_open_with_it_have_ended() {
        let mut settled = Settled::default();
        let mut look = |highest, oldest, next| settled.take_in(Followed::Chats, seen(highest, oldest, next));
        assert_eq!(look(10, 100, 100), 10, "nothing is open");
        assert_eq!(look(20, 100, 105), 10, "transaction 100 may still bring an id below 20");
        assert_eq!(look(30, 101, 110), 0, "those below 105 are not all done");
        assert_eq!(look(40, 106, 115), 20, "now they are");
        assert_eq!(look(40, 115, 115), 40);
    }
}
