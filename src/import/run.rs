//! Writes what was planned, in batches. A batch is one transaction, with the keys of its rows in
//! the map of ids. Rows whose keys are in the map already are left out, so that a batch may be run
//! again, and a run that ended early is continued by the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;

use super::found::Owner;
use super::here::users_of;
use super::layout::{Fit, Layout};
use super::plan::{Plan, PlannedChat};
use super::source::{Cells, Pick, Query, Source};
use super::tokens::PlannedToken;
use super::users::{PlannedUser, user_of};
use super::values::{SourceKey, storable, time, truth};
use super::{ImportError, ImportOptions};
use crate::audit::{Action, Actor, Event};
use crate::auth::password_hash;
use crate::clock;
use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::domain::OperationId;
use crate::error::{Error, Result};
use crate::metering::{ImportedAccount, open_imported_accounts};
use crate::models::{Change, ImportMap, ImportedAuthToken, ImportedChat, ImportedKind};

/// The most rows of a batch while nobody waits for it: on SQLite without a server, and on
/// PostgreSQL, where new rows lock nobody out.
const ROWS_ALONE: usize = 2_000;
/// The most rows of a batch while a server writes to the same SQLite file.
const ROWS_BESIDE_A_SERVER: usize = BULK_ROWS as usize;
/// The most bytes of the texts of a batch, unless one chat has more.
const BYTES: u64 = 1024 * 1024;

/// How often a batch is tried, and the pause in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// The name of imported auth tokens. One with a name is never removed by log-ins.
const TOKEN_NAME: &str = "imported from Django";
/// The note in the history on an imported user with rights.
const AUDIT_NOTE: &str = "imported from Django";
/// A hash that no password matches.
const UNUSABLE: &str = "!";

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being imported.
    pub what: &'static str,
    /// How many of them are done.
    pub done: usize,
    /// How many there are.
    pub all: usize,
}

/// Writes everything. Names the chats whose texts had to be changed.
pub(super) async fn run(
    db: &Db,
    source: &mut Source,
    layout: &Layout,
    plan: &Plan,
    options: &ImportOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<String>, ImportError> {
    let mut run = Run { db, source, layout, options, ids: HashMap::new(), changed: Vec::new() };
    let (mut rest, all) = (plan.users.as_slice(), plan.users.len());
    while !rest.is_empty() {
        // Each is a user, a ledger entry, a row of the map, and perhaps one of the history.
        let (batch, later) = rest.split_at(rest.len().min(run.rows() / 4));
        run.users(batch).await?;
        rest = later;
        progress(Progress { what: "users", done: all - rest.len(), all });
    }
    run.read_ids()?;
    let (mut rest, all) = (plan.tokens.as_slice(), plan.tokens.len());
    while !rest.is_empty() {
        // Each has a row of the map.
        let (batch, later) = rest.split_at(rest.len().min(run.rows() / 2));
        run.tokens(batch).await?;
        rest = later;
        progress(Progress { what: "auth tokens", done: all - rest.len(), all });
    }
    let (mut rest, all) = (plan.chats.as_slice(), plan.chats.len());
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_length(rest, run.rows() / 2));
        run.chats(batch).await?;
        rest = later;
        progress(Progress { what: "chats", done: all - rest.len(), all });
    }
    Ok(run.changed)
}

/// Returns how many of these chats the next batch has, of which each has a row of the map.
fn batch_length(chats: &[PlannedChat], most: usize) -> usize {
    let mut bytes = 0_u64;
    let fits = chats.iter().take(most).take_while(|chat| {
        bytes = bytes.saturating_add(chat.bytes);
        bytes <= BYTES
    });
    fits.count().max(1)
}

struct Run<'a> {
    db: &'a Db,
    source: &'a mut Source,
    layout: &'a Layout,
    options: &'a ImportOptions,
    /// The ids here of all imported users.
    ids: HashMap<Owner, i64>,
    /// Chats whose texts had to be changed.
    changed: Vec<String>,
}

impl Run<'_> {
    /// Returns how many rows the next batch may have.
    fn rows(&self) -> usize {
        if self.db.is_served() { ROWS_BESIDE_A_SERVER } else { ROWS_ALONE }
    }

    /// Reads the ids of all users that were imported, by this run or an earlier one.
    fn read_ids(&mut self) -> Result<(), ImportError> {
        self.ids = users_of(self.db, &self.options.source)?;
        Ok(())
    }

    async fn users(&mut self, users: &[PlannedUser]) -> Result<(), ImportError> {
        let mut details = HashMap::new();
        for kind in [ImportedKind::User, ImportedKind::Administrator] {
            let keys = users.iter().filter(|user| user.owner.0 == kind).map(|user| user.owner.1.to_string());
            let keys: Vec<String> = keys.collect();
            let fit = match kind {
                ImportedKind::User => Some(&self.layout.users),
                _ => self.layout.administrators.as_ref(),
            };
            if let Some(fit) = fit.filter(|_| !keys.is_empty()) {
                details.extend(read_details(self.source, fit, kind, &keys, self.options)?);
            }
        }
        let account = |user: &PlannedUser| {
            let details = details.remove(&user.owner).unwrap_or_default();
            (user.owner.clone(), account_of(user, details))
        };
        let accounts: Arc<Vec<(Owner, ImportedAccount)>> = Arc::new(users.iter().map(account).collect());
        let (source, now) = (self.options.source.clone(), clock::now());
        let job = move |conn: &mut DbConnection| write_users(conn, &source, &accounts, now);
        write(self.db, job).await
    }

    async fn tokens(&mut self, tokens: &[PlannedToken]) -> Result<(), ImportError> {
        let now = clock::now();
        let row = |token: &PlannedToken| {
            let row = ImportedAuthToken {
                user_id: *self.ids.get(&token.owner)?,
                digest: token.digest,
                first_characters: token.first_characters.clone(),
                created_at: token.created.unwrap_or(now),
            };
            Some((token.key(), row))
        };
        let rows: Vec<(String, ImportedAuthToken)> = tokens.iter().filter_map(row).collect();
        let source = self.options.source.clone();
        let job = move |conn: &mut DbConnection| write_tokens(conn, &source, &rows);
        write(self.db, job).await
    }

    async fn chats(&mut self, chats: &[PlannedChat]) -> Result<(), ImportError> {
        let Some(fit) = &self.layout.chats else { return Ok(()) };
        let keys: Vec<String> = chats.iter().map(|chat| chat.key.to_string()).collect();
        let mut texts = read_texts(self.source, fit, &keys)?;
        let mut rows = Vec::with_capacity(chats.len());
        for (chat, key) in chats.iter().zip(keys) {
            let Some(user_id) = self.ids.get(&user_of(&chat.user)) else { continue };
            let (message, response) = texts.remove(&chat.key).unwrap_or_default();
            let (message, had_nul) = storable(message.unwrap_or_default());
            let response = response.map(storable);
            if had_nul || response.as_ref().is_some_and(|(_, had_nul)| *had_nul) {
                self.changed.push(format!("chat {key}"));
            }
            let response = response.map(|(text, _)| text);
            rows.push((key, ImportedChat { user_id: *user_id, message, response, created_at: chat.at }));
        }
        let (source, model) = (self.options.source.clone(), self.options.model.clone());
        let job = move |conn: &mut DbConnection| write_chats(conn, &source, &model, &rows);
        write(self.db, job).await
    }
}

/// Runs a job. While a server keeps the database locked, it is tried again: a job that was done
/// after all finds its rows in the map.
async fn write<F>(db: &Db, job: F) -> Result<(), ImportError>
where
    F: Fn(&mut DbConnection) -> Result<()> + Send + Sync + 'static,
{
    let job = Arc::new(job);
    for _ in 1..TRIES {
        let again = job.clone();
        match db.write_bulk(Scope::none(), move |conn| again(conn)).await {
            Err(error @ Error::Unavailable(_)) => log::warn!("{}; trying again", error.in_full()),
            Err(error) if error.is_locked() => log::warn!("{}; trying again", error.in_full()),
            outcome => return Ok(outcome?),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(db.write_bulk(Scope::none(), move |conn| job(conn)).await?)
}

/// What is read of a user only when the user is written.
#[derive(Default)]
struct Details {
    password: String,
    active: Option<bool>,
    staff: Option<bool>,
    superuser: Option<bool>,
    last_login: Option<NaiveDateTime>,
}

fn read_details(
    source: &mut Source,
    fit: &Fit,
    kind: ImportedKind,
    keys: &[String],
    options: &ImportOptions,
) -> Result<HashMap<Owner, Details>, ImportError> {
    let fields = ["id", "password", "active", "staff", "superuser", "last_login"];
    let picks = fields.map(|field| Pick::maybe(fit.column(field))).to_vec();
    let keys = Some((fit.required("id"), keys));
    let rows = source.rows(&Query { table: &fit.table, picks, keys })?;
    let details = |cells: Cells| {
        let mut cells = cells.into_iter();
        let mut cell = || cells.next().flatten();
        let key = SourceKey::of(&cell()?);
        let details = Details {
            password: cell().unwrap_or_default(),
            active: truth(cell().as_deref()),
            staff: truth(cell().as_deref()),
            superuser: truth(cell().as_deref()),
            last_login: cell().and_then(|text| time(&text, options.time_zone)),
        };
        Some(((kind, key), details))
    };
    Ok(rows.into_iter().filter_map(details).collect())
}

fn account_of(user: &PlannedUser, details: Details) -> ImportedAccount {
    let is_superuser = details.superuser.unwrap_or(false);
    // A text that is no hash may be the password itself.
    let is_readable = password_hash::is_readable(&details.password);
    ImportedAccount {
        username: user.name.clone(),
        password_hash: if is_readable { details.password } else { UNUSABLE.to_owned() },
        tokens: user.tokens,
        is_active: details.active.unwrap_or(true),
        is_staff: is_superuser || details.staff.unwrap_or(false),
        is_superuser,
        date_joined: user.joined,
        last_login: details.last_login,
        note: user.note.clone(),
        operation_id: OperationId::generate(),
    }
}

/// The message and the response of a chat.
type Texts = (Option<String>, Option<String>);

fn read_texts(
    source: &mut Source,
    fit: &Fit,
    keys: &[String],
) -> Result<HashMap<SourceKey, Texts>, ImportError> {
    let picks = ["id", "message", "response"].map(|field| Pick::Value(fit.required(field))).to_vec();
    let rows = source.rows(&Query { table: &fit.table, picks, keys: Some((fit.required("id"), keys)) })?;
    let texts = |cells: Cells| {
        let mut cells = cells.into_iter();
        let mut cell = || cells.next().flatten();
        Some((SourceKey::of(&cell()?), (cell(), cell())))
    };
    Ok(rows.into_iter().filter_map(texts).collect())
}

fn write_users(
    conn: &mut DbConnection,
    source: &str,
    users: &[(Owner, ImportedAccount)],
    now: NaiveDateTime,
) -> Result<()> {
    for kind in [ImportedKind::User, ImportedKind::Administrator] {
        let of_kind = users.iter().filter(|((of, _), _)| *of == kind);
        let keyed: Vec<(String, &ImportedAccount)> =
            of_kind.map(|((_, key), account)| (key.to_string(), account)).collect();
        let keys: Vec<&str> = keyed.iter().map(|(key, _)| key.as_str()).collect();
        let known = ImportMap::known(conn, source, kind, &keys)?;
        let new = keyed.iter().filter(|(key, _)| !known.contains_key(key));
        let (keys, accounts): (Vec<&str>, Vec<ImportedAccount>) =
            new.map(|(key, account)| (key.as_str(), (*account).clone())).unzip();
        let ids = open_imported_accounts(conn, &accounts, now)?;
        let rows: Vec<(&str, i64)> = keys.into_iter().zip(ids.iter().copied()).collect();
        ImportMap::insert(conn, source, kind, &rows)?;
        record_rights(conn, &accounts, &ids, now)?;
    }
    Ok(())
}

/// Records in the history which users came with rights.
fn record_rights(
    conn: &mut DbConnection,
    accounts: &[ImportedAccount],
    ids: &[i64],
    now: NaiveDateTime,
) -> Result<()> {
    for (account, id) in accounts.iter().zip(ids).filter(|(account, _)| account.is_staff) {
        let right = if account.is_superuser { "superuser" } else { "staff" };
        let changes = [Change::new("username", "", &account.username), Change::new(right, "", "yes")];
        let event = Event { changes: &changes, note: AUDIT_NOTE, ..Event::about_user(Action::Add, *id) };
        Actor::default().record(conn, &event, now)?;
    }
    Ok(())
}

fn write_tokens(conn: &mut DbConnection, source: &str, tokens: &[(String, ImportedAuthToken)]) -> Result<()> {
    let keys: Vec<&str> = tokens.iter().map(|(key, _)| key.as_str()).collect();
    let known = ImportMap::known(conn, source, ImportedKind::AuthToken, &keys)?;
    let new = tokens.iter().filter(|(key, _)| !known.contains_key(key));
    let (keys, rows): (Vec<&str>, Vec<ImportedAuthToken>) =
        new.map(|(key, row)| (key.as_str(), row.clone())).unzip();
    let inserted = ImportedAuthToken::insert_all(conn, &rows, TOKEN_NAME)?;
    let id_of = |row: &ImportedAuthToken| inserted.get(row.digest.as_bytes().as_slice()).copied();
    let rows: Vec<(&str, i64)> =
        keys.into_iter().zip(&rows).filter_map(|(key, row)| Some((key, id_of(row)?))).collect();
    ImportMap::insert(conn, source, ImportedKind::AuthToken, &rows)?;
    Ok(())
}

fn write_chats(
    conn: &mut DbConnection,
    source: &str,
    model: &str,
    chats: &[(String, ImportedChat)],
) -> Result<()> {
    let keys: Vec<&str> = chats.iter().map(|(key, _)| key.as_str()).collect();
    let known = ImportMap::known(conn, source, ImportedKind::Chat, &keys)?;
    let new = chats.iter().filter(|(key, _)| !known.contains_key(key));
    let (keys, rows): (Vec<&str>, Vec<ImportedChat>) =
        new.map(|(key, chat)| (key.as_str(), chat.clone())).unzip();
    let ids = ImportedChat::insert_all(conn, &rows, model)?;
    let rows: Vec<(&str, i64)> = keys.into_iter().zip(ids).collect();
    ImportMap::insert(conn, source, ImportedKind::Chat, &rows)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_a_bounded_number_of_rows_and_bytes() {
        let chats = |bytes: u64, count: usize| {
            let at = clock::now();
            let (key, user) = (SourceKey::Number(1), SourceKey::Number(1));
            vec![PlannedChat { key, user, at, bytes }; count]
        };
        assert_eq!(batch_length(&chats(20, 5), 100), 5);
        assert_eq!(batch_length(&chats(20, 1000), 100), 100);
        assert_eq!(batch_length(&chats(BYTES / 4, 1000), 100), 4);
        assert_eq!(batch_length(&chats(BYTES * 3, 1000), 100), 1);
        assert_eq!(batch_length(&chats(u64::MAX, 2), 100), 1);
    }
}
