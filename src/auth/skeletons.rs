//! Computes what the names of existing and imported users look like, so that new names can be
//! compared with them. SQL cannot: the tables of Unicode are in this binary.

use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::domain::skeleton_of;
use crate::error::Result;
use crate::models::User;

/// Fills in the missing skeletons, in parts, and returns their number. After an upgrade these are
/// all users, and later those that were imported. Several nodes may do it at once.
pub async fn fill_skeletons(db: &Db) -> Result<usize> {
    let (mut filled, mut above) = (0, 0);
    loop {
        let users = db.read(move |conn| Ok(User::without_skeleton(conn, above, BULK_ROWS)?)).await?;
        // Each part begins where the last one ended. Otherwise it would read all before it again.
        let Some((last, _)) = users.last() else { return Ok(filled) };
        above = *last;
        let scope = Scope::users(users.iter().map(|(id, _)| *id).collect());
        let looks: Vec<(i64, String, String)> =
            users.into_iter().map(|(id, name)| (id, skeleton_of(&name), name)).collect();
        let job = move |conn: &mut DbConnection| {
            let mut stored = 0;
            for (id, skeleton, name) in &looks {
                stored += User::fill_skeleton(conn, *id, name, skeleton)?;
            }
            Ok(stored)
        };
        match db.write_bulk(scope, job).await? {
            // Another node is doing these, and does the rest, too.
            0 => return Ok(filled),
            stored => filled += stored,
        }
    }
}
