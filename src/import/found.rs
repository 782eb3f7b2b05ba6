//! What the source contains, read once before anything is written: users and auth tokens without
//! their passwords, and chats without their texts.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use chrono_tz::Tz;

use super::ImportError;
use super::layout::{Fit, Layout};
use super::source::{Pick, Query, Source};
use super::values::{SourceKey, time, truth};
use crate::auth::password_hash;
use crate::models::ImportedKind;

/// A user of the source: which of the two tables, and the key there.
pub(super) type Owner = (ImportedKind, SourceKey);

/// A user.
pub(super) struct FoundUser {
    pub owner: Owner,
    pub name: String,
    /// As it is stored. `None`: NULL.
    pub balance: Option<String>,
    pub has_readable_hash: bool,
    pub is_active: bool,
    pub is_superuser: bool,
    pub joined: Option<NaiveDateTime>,
}

impl FoundUser {
    /// Names the user for the report.
    pub(super) fn shown(&self) -> String {
        let kind = if self.owner.0 == ImportedKind::User { "user" } else { "administrator" };
        format!("{:?} ({kind} {})", self.name, self.owner.1)
    }
}

/// An auth token in plain text. It is digested before anything is stored.
pub(super) struct FoundToken {
    pub owner: Owner,
    pub plain: String,
    pub created: Option<NaiveDateTime>,
}

/// A chat.
pub(super) struct FoundChat {
    pub key: SourceKey,
    pub user: SourceKey,
    pub at: Option<NaiveDateTime>,
    /// The bytes of its texts.
    pub bytes: u64,
    pub has_message: bool,
}

/// Everything that the source contains.
pub(super) struct Found {
    pub users: Vec<FoundUser>,
    pub tokens: Vec<FoundToken>,
    pub chats: Vec<FoundChat>,
}

impl Found {
    pub(super) fn read(source: &mut Source, layout: &Layout, zone: Tz) -> Result<Found, ImportError> {
        let (mut users, mut tokens) = (Vec::new(), Vec::new());
        read_users(source, &layout.users, ImportedKind::User, zone, &mut users, &mut tokens)?;
        if let Some(fit) = &layout.administrators {
            read_users(source, fit, ImportedKind::Administrator, zone, &mut users, &mut tokens)?;
        }
        for fit in &layout.auth_tokens {
            let of_administrators = layout.administrators.as_ref().map(|fit| fit.table.name.as_str());
            let kind = match fit.owners.as_deref() {
                Some(owner) if Some(owner) == of_administrators => ImportedKind::Administrator,
                _ => ImportedKind::User,
            };
            read_tokens(source, fit, kind, zone, &mut tokens)?;
        }
        let mut chats = Vec::new();
        if let Some(fit) = &layout.chats {
            read_chats(source, fit, zone, &mut chats)?;
        }
        Ok(Found { users, tokens, chats })
    }

    /// Returns the time of each user's first chat.
    pub(super) fn first_chats(&self) -> HashMap<&SourceKey, NaiveDateTime> {
        let mut first: HashMap<&SourceKey, NaiveDateTime> = HashMap::new();
        for chat in &self.chats {
            if let Some(at) = chat.at {
                first.entry(&chat.user).and_modify(|first| *first = at.min(*first)).or_insert(at);
            }
        }
        first
    }
}

/// Returns the next cell of a row. A query returns as many as it has picks.
fn next(cells: &mut impl Iterator<Item = Option<String>>) -> Option<String> {
    cells.next().flatten()
}

fn read_users(
    source: &mut Source,
    fit: &Fit,
    kind: ImportedKind,
    zone: Tz,
    users: &mut Vec<FoundUser>,
    tokens: &mut Vec<FoundToken>,
) -> Result<(), ImportError> {
    let fields = ["id", "username", "tokens", "password", "active", "superuser", "joined", "token"];
    let picks = fields.map(|field| Pick::maybe(fit.column(field))).to_vec();
    let query = Query { table: &fit.table, picks, keys: None };
    source.read(&query, |cells| {
        let mut cells = cells.into_iter();
        let mut cell = || next(&mut cells);
        let Some(id) = cell() else { return Ok(()) };
        let owner = (kind, SourceKey::of(&id));
        users.push(FoundUser {
            owner: owner.clone(),
            name: cell().unwrap_or_default(),
            balance: cell(),
            has_readable_hash: password_hash::is_readable(&cell().unwrap_or_default()),
            is_active: truth(cell().as_deref()).unwrap_or(true),
            is_superuser: truth(cell().as_deref()).unwrap_or(false),
            joined: cell().and_then(|text| time(&text, zone)),
        });
        if let Some(plain) = cell().filter(|plain| !plain.is_empty()) {
            tokens.push(FoundToken { owner, plain, created: None });
        }
        Ok(())
    })
}

fn read_tokens(
    source: &mut Source,
    fit: &Fit,
    kind: ImportedKind,
    zone: Tz,
    tokens: &mut Vec<FoundToken>,
) -> Result<(), ImportError> {
    let picks = ["user", "key", "created"].map(|field| Pick::maybe(fit.column(field))).to_vec();
    source.read(&Query { table: &fit.table, picks, keys: None }, |cells| {
        let mut cells = cells.into_iter();
        let (user, plain, created) = (next(&mut cells), next(&mut cells), next(&mut cells));
        if let Some(plain) = plain.filter(|plain| !plain.is_empty()) {
            let owner = (kind, SourceKey::of(&user.unwrap_or_default()));
            tokens.push(FoundToken { owner, plain, created: created.and_then(|text| time(&text, zone)) });
        }
        Ok(())
    })
}

fn read_chats(
    source: &mut Source,
    fit: &Fit,
    zone: Tz,
    chats: &mut Vec<FoundChat>,
) -> Result<(), ImportError> {
    let picks = vec![
        Pick::Value(fit.required("id")),
        Pick::Value(fit.required("user")),
        Pick::Value(fit.required("timestamp")),
        Pick::Length(fit.required("message")),
        Pick::Length(fit.required("response")),
    ];
    source.read(&Query { table: &fit.table, picks, keys: None }, |cells| {
        let mut cells = cells.into_iter();
        let Some(id) = next(&mut cells) else { return Ok(()) };
        let (user, at) = (next(&mut cells).unwrap_or_default(), next(&mut cells));
        let mut length = || next(&mut cells).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (message, response) = (length(), length());
        chats.push(FoundChat {
            key: SourceKey::of(&id),
            user: SourceKey::of(&user),
            at: at.and_then(|text| time(&text, zone)),
            bytes: message + response,
            has_message: message > 0,
        });
        Ok(())
    })
}
