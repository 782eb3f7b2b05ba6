//! `database_identity`: a random number that tells one database from others.

use diesel::prelude::*;
use diesel::sql_types::Binary;

use crate::db::DbConnection;

/// The only row of `database_identity`. All nodes on one PostgreSQL have the same, and so has a
/// copy of the database.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct DatabaseIdentity {
    /// 16 random bytes.
    #[diesel(sql_type = Binary)]
    pub id: Vec<u8>,
}

impl DatabaseIdentity {
    /// Returns the identity of the database.
    pub fn find(conn: &mut DbConnection) -> QueryResult<DatabaseIdentity> {
        diesel::sql_query("SELECT id FROM database_identity").get_result(conn)
    }
}
