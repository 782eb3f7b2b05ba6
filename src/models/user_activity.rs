//! When users chatted last and how often of late, as far as the follower has read.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::list::{Condition, Count, Value};
use crate::db::{Bind, DbConnection, DynamicStatement};
use crate::schema::chats;

/// The highest number of chats that is counted exactly for one user.
const MOST_COUNTED: i64 = 1_000;

/// What a user did of late. Embeddings do not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserActivity {
    /// When the user sent the last chat. `None` if there is none.
    pub last_chat: Option<NaiveDateTime>,
    /// The number of chats from a certain one on.
    pub chats: Count,
}

/// Returns what has the users and ids of all chats that the follower has read.
fn keys(conn: &DbConnection) -> &'static str {
    match conn {
        DbConnection::Sqlite(_) => "chat_keys",
        DbConnection::Postgres(_) => "chats",
    }
}

impl UserActivity {
    /// Returns the activity of each of these users. Chats with ids from `first` on are counted.
    pub fn of(conn: &mut DbConnection, users: &[i64], first: i64) -> QueryResult<HashMap<i64, UserActivity>> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = keys(conn);
        let listed: Vec<String> = users.iter().map(i64::to_string).collect();
        let text = format!(
            "SELECT u.id,
                    (SELECT k.id FROM {keys} k WHERE k.user_id = u.id AND k.is_listed = TRUE
                     ORDER BY k.id DESC LIMIT 1),
                    (SELECT count(*) FROM (SELECT 1 FROM {keys} k
                                           WHERE k.user_id = u.id AND k.is_listed = TRUE AND k.id >= ?
                                           LIMIT {}) w)
             FROM users u WHERE u.id IN ({})",
            MOST_COUNTED + 1,
            listed.join(",")
        );
        let binds = vec![Bind::Integer(first)];
        let statement = DynamicStatement::<(BigInt, Nullable<BigInt>, BigInt)>::new(text, binds);
        let rows: Vec<(i64, Option<i64>, i64)> = statement.load(conn)?;
        let (mut found, mut latest) = (HashMap::new(), HashMap::new());
        for (user, last, number) in rows {
            let chats = Count { number: number.min(MOST_COUNTED), at_least: number > MOST_COUNTED };
            found.insert(user, UserActivity { last_chat: None, chats });
            latest.extend(last.map(|id| (id, user)));
        }
        let ids: Vec<i64> = latest.keys().copied().collect();
        let times: Vec<(i64, i64, NaiveDateTime)> = chats::table
            .filter(chats::id.eq_any(&ids))
            .select((chats::id, chats::user_id, chats::created_at))
            .load(conn)?;
        // The index could be that of another database.
        for (_, user, time) in times.into_iter().filter(|(id, user, _)| latest.get(id) == Some(user)) {
            if let Some(activity) = found.get_mut(&user) {
                activity.last_chat = Some(time);
            }
        }
        Ok(found)
    }

    /// Returns the condition that a user has a chat with an id from `first` on.
    pub fn since(conn: &DbConnection, first: i64) -> Condition {
        let sql = format!(
            "EXISTS (SELECT 1 FROM {} k WHERE k.user_id = users.id AND k.is_listed = TRUE AND k.id >= ?)",
            keys(conn)
        );
        Condition { sql: sql.into(), ..Condition::tested("", vec![Value::Integer(first)]) }
    }

    /// Returns the condition that a user has no chat with an id from `first` on.
    pub fn not_since(conn: &DbConnection, first: i64) -> Condition {
        let condition = UserActivity::since(conn, first);
        Condition { sql: format!("NOT {}", condition.sql).into(), ..condition }
    }
}
