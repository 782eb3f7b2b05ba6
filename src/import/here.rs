//! What the database here contains before an import.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;

use super::ImportError;
use super::found::Owner;
use super::values::SourceKey;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::{ImportMap, ImportedChat, ImportedKind, LedgerEntry, User};

/// The most rows that one query reads.
const PAGE: i64 = 10_000;
/// The most ids in one query.
const IDS: usize = 500;

/// What the database here contains.
#[derive(Default)]
pub(super) struct Here {
    /// Users that were imported from this source, with their ids here.
    pub users: HashMap<Owner, i64>,
    /// Digests of auth tokens that were imported from it, in hexadecimal.
    pub tokens: HashSet<String>,
    /// Chats that were imported from it.
    pub chats: HashSet<SourceKey>,
    /// The ids of all users by their canonical names.
    pub names: HashMap<String, i64>,
    /// Whether there are chats, or users who are not superusers.
    pub is_used: bool,
    /// When the last chat was sent.
    pub last_chat: Option<NaiveDateTime>,
}

/// A user who was imported before.
pub(super) struct Imported {
    pub row: User,
    /// The balance with which the user opened.
    pub opening: i64,
}

impl Imported {
    /// Returns whether the user was anonymised.
    pub(super) fn is_anonymised(&self) -> bool {
        let name = format!("anonymous-{}", self.row.id);
        let rest = self.row.username_canonical.strip_prefix(&name);
        !self.row.is_active && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

impl Here {
    pub(super) fn read(db: &Db, source: &str) -> Result<Here, ImportError> {
        let mut here = Here { users: users_of(db, source)?, ..Here::default() };
        here.tokens = map_of(db, source, ImportedKind::AuthToken)?.into_iter().map(|(key, _)| key).collect();
        let chats = map_of(db, source, ImportedKind::Chat)?;
        here.chats = chats.into_iter().map(|(key, _)| SourceKey::of(&key)).collect();
        let mut after = 0;
        loop {
            let page = db.read_blocking(|conn| Ok(User::page_of_names(conn, after, PAGE)?))?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            for (id, canonical, is_superuser) in page {
                here.is_used |= !is_superuser;
                here.names.insert(canonical, id);
            }
        }
        here.last_chat = db.read_blocking(|conn| Ok(ImportedChat::last_time(conn)?))?;
        here.is_used |= here.last_chat.is_some();
        Ok(here)
    }

    /// Returns whether nothing of this source was imported yet.
    pub(super) fn is_first_run(&self) -> bool {
        self.users.is_empty()
    }
}

/// Reads users who were imported before, by their ids.
pub(super) fn imported(db: &Db, ids: &[i64]) -> Result<HashMap<i64, Imported>, ImportError> {
    let mut found = HashMap::new();
    for ids in ids.chunks(IDS) {
        let read = |conn: &mut DbConnection| -> Result<_> {
            Ok((User::find_many(conn, ids)?, LedgerEntry::openings_of(conn, ids)?))
        };
        let (rows, openings) = db.read_blocking(read)?;
        let openings: HashMap<i64, i64> = openings.into_iter().collect();
        for row in rows {
            let opening = openings.get(&row.id).copied().unwrap_or(0);
            found.insert(row.id, Imported { row, opening });
        }
    }
    Ok(found)
}

/// Returns the ids here of the users that were imported from a source.
pub(super) fn users_of(db: &Db, source: &str) -> Result<HashMap<Owner, i64>, ImportError> {
    let mut users = HashMap::new();
    for kind in [ImportedKind::User, ImportedKind::Administrator] {
        let rows = map_of(db, source, kind)?;
        users.extend(rows.into_iter().map(|(key, id)| ((kind, SourceKey::of(&key)), id)));
    }
    Ok(users)
}

fn map_of(db: &Db, source: &str, kind: ImportedKind) -> Result<Vec<(String, i64)>, ImportError> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = db.read_blocking(|conn| Ok(ImportMap::page(conn, source, kind, &after, PAGE)?))?;
        let Some((last, _)) = page.last() else { return Ok(rows) };
        after.clone_from(last);
        rows.extend(page);
    }
}
