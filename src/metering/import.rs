//! Creates the users of another service, with the balances that they had there.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Text};

use crate::db::tally::{Moved, note_entries};
use crate::db::{Bind, DbConnection, DynamicStatement, on_either};
use crate::domain::{OperationId, canonical_of, skeleton_of};
use crate::models::{EntryKind, Watermark};

/// A user of another service. The name need not obey the rules for new names, but no other user may
/// have the same canonical form.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// The name.
    pub username: String,
    /// The password hash in Django's form, or `!`.
    pub password_hash: String,
    /// The balance, in tokens.
    pub tokens: i64,
    /// Whether the user may log in and use auth tokens.
    pub is_active: bool,
    /// Whether the user may sign in to the panel.
    pub is_staff: bool,
    /// Whether the user may do everything in the panel.
    pub is_superuser: bool,
    /// When the user joined the other service.
    pub date_joined: NaiveDateTime,
    /// When the user last logged in there, if ever.
    pub last_login: Option<NaiveDateTime>,
    /// The note of the opening entry, which the user sees on the statement.
    pub note: String,
    /// Identifies the opening entry.
    pub operation_id: OperationId,
}

/// Creates the users with their opening entries. Returns their ids, in the order of `accounts`. The
/// caller must make sure, in the same transaction, that they were not imported before.
pub fn open_imported_accounts(
    conn: &mut DbConnection,
    accounts: &[ImportedAccount],
    now: NaiveDateTime,
) -> QueryResult<Vec<i64>> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    Watermark::before_insert(conn)?;
    let ids = insert_users(conn, accounts)?;
    insert_openings(conn, accounts, &ids, now)?;
    Ok(ids)
}

fn insert_users(conn: &mut DbConnection, accounts: &[ImportedAccount]) -> QueryResult<Vec<i64>> {
    let forms: Vec<(String, String)> = accounts
        .iter()
        .map(|account| (canonical_of(&account.username), skeleton_of(&account.username)))
        .collect();
    let (mut rows, mut binds) = (Vec::with_capacity(accounts.len()), Vec::new());
    for (account, (canonical, skeleton)) in accounts.iter().zip(&forms) {
        let [active, staff, superuser] =
            [account.is_active, account.is_staff, account.is_superuser].map(truth);
        rows.push(format!("(?, ?, ?, ?, {active}, {staff}, {superuser}, ?, ?, 0, ?, FALSE)"));
        binds.extend([
            Bind::Text(&account.username),
            Bind::Text(canonical),
            Bind::Text(&account.password_hash),
            Bind::Integer(account.tokens),
            Bind::Time(account.date_joined),
            Bind::MaybeTime(account.last_login),
            Bind::Text(skeleton),
        ]);
    }
    let text = format!(
        "INSERT INTO users (username, username_canonical, password, tokens, is_active, is_staff, is_superuser,
                            date_joined, last_login, version, username_skeleton, skeleton_guarded)
         VALUES {} RETURNING id, username_canonical",
        rows.join(", ")
    );
    let inserted: Vec<(i64, String)> = DynamicStatement::<(BigInt, Text)>::new(text, binds).load(conn)?;
    // No database promises an order of the returned rows.
    let by_name: HashMap<String, i64> = inserted.into_iter().map(|(id, name)| (name, id)).collect();
    let id_of = |(canonical, _): &(String, String)| by_name.get(canonical).copied();
    forms.iter().map(id_of).collect::<Option<Vec<i64>>>().ok_or(DieselError::NotFound)
}

fn insert_openings(
    conn: &mut DbConnection,
    accounts: &[ImportedAccount],
    ids: &[i64],
    now: NaiveDateTime,
) -> QueryResult<()> {
    let text = format!(
        "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, note, operation_id, created_at) VALUES {}",
        vec!["(?, ?, ?, ?, ?, ?, ?)"; accounts.len()].join(", ")
    );
    let binds = accounts.iter().zip(ids).flat_map(|(account, id)| {
        [
            Bind::Integer(*id),
            Bind::Integer(account.tokens),
            Bind::Integer(account.tokens),
            Bind::Text(EntryKind::Opening.as_str()),
            Bind::Text(&account.note),
            Bind::Bytes(account.operation_id.as_bytes()),
            Bind::Now(now),
        ]
    });
    let statement = DynamicStatement::<()>::new(text, binds.collect());
    on_either!(conn => statement.execute(conn))?;
    let tokens = accounts.iter().fold(0_i64, |sum, account| sum.saturating_add(account.tokens));
    note_entries(Moved::Opening, accounts.len(), tokens);
    Ok(())
}

const fn truth(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}
