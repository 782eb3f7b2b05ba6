//! The results of a search, in groups: one for each kind of thing.

use super::actions::{action_hits, page_hits};
use super::asked::{SHOWN, Search, query};
use crate::audit::Action;
use crate::clock;
use crate::db::DbConnection;
use crate::error::Result;
use crate::index::search::Matching;
use crate::models::list::Count;
use crate::models::{AuditEntry, AuthToken, Chat, LedgerEntry};
use crate::panel::auth_tokens::{self, AUTH_TOKENS};
use crate::panel::chats::CHATS;
use crate::panel::history::{self, HISTORY};
use crate::panel::kit::hit::{Hit, Part, beginning, marked, plain, snippet};
use crate::panel::kit::list::{Cell, List, ListParams, capped, first_rows};
use crate::panel::kit::names::Named;
use crate::panel::kit::{format, id_in, paths, plain_id};
use crate::panel::ledger::LEDGER;
use crate::panel::users::{ListedUser, USERS};

/// How many characters of a text are searched for what to show of it.
const LOOKED_AT: usize = 20_000;

/// The results of one kind.
pub(super) struct Group {
    pub id: &'static str,
    pub title: &'static str,
    pub hits: Vec<Hit>,
    /// How many rows match. Empty if all of them are shown anyway.
    pub count: String,
    /// The link to the list with the same words.
    pub all: Option<String>,
}

/// The rows of a list that match, each with whether it was found by its id.
struct Rows<R> {
    rows: Vec<(R, bool)>,
    count: Option<Count>,
}

impl Search {
    /// Returns the groups that have hits.
    pub(super) fn groups(&self, conn: &mut DbConnection) -> Result<Vec<Group>> {
        let users = self.rows(&USERS, conn)?;
        let chats = self.rows(&CHATS, conn)?;
        let entries = self.rows(&LEDGER, conn)?;
        let history = self.rows(&HISTORY, conn)?;
        let tokens = self.rows(&AUTH_TOKENS, conn)?;
        let texts = self.texts(conn, &chats)?;
        let others = |id, title, hits| Group { id, title, hits, count: String::new(), all: None };
        let groups = [
            others("actions", "Actions", action_hits(self, conn)?),
            self.group("users", &USERS, users, |user, by_id| self.user(&user, by_id)),
            self.group("chats", &CHATS, chats, |chat, by_id| self.chat(&chat, &texts, by_id)),
            self.group("ledger", &LEDGER, entries, |entry, by_id| self.entry(&entry, by_id)),
            self.group("history", &HISTORY, history, |entry, by_id| self.event(&entry, by_id)),
            self.group("auth-tokens", &AUTH_TOKENS, tokens, |token, by_id| self.auth_token(&token, by_id)),
            others("pages", "Pages", page_hits(self)),
        ];
        Ok(groups.into_iter().filter(|group| !group.hits.is_empty()).collect())
    }

    /// Returns the group of one auth token that was typed as a whole.
    pub(super) fn token(&self, conn: &mut DbConnection, id: i64) -> Result<Option<Group>> {
        let tokens = AuthToken::find_many(conn, &[id])?;
        let hits = auth_tokens::named(conn, tokens)?;
        let hits: Vec<Hit> = hits.iter().map(|token| self.auth_token(token, false)).collect();
        let (id, title) = ("auth-tokens", AUTH_TOKENS.title);
        let group = Group { id, title, hits, count: String::new(), all: None };
        Ok(Some(group).filter(|group| !group.hits.is_empty()))
    }

    /// Finds the rows of a list. The one with the id that was typed comes first.
    fn rows<R>(&self, list: &'static List<R>, conn: &mut DbConnection) -> Result<Rows<R>> {
        let number = id_in(&self.words).or_else(|| plain_id(&self.words));
        // The history and auth tokens are not known by their ids.
        let number = number.filter(|_| ![paths::HISTORY, paths::AUTH_TOKENS].contains(&list.path));
        let by_id = match number {
            Some(id) => (list.rows.load)(conn, &[id])?,
            None => Vec::new(),
        };
        let mut rows: Vec<(R, bool)> = by_id.into_iter().map(|row| (row, true)).collect();
        if id_in(&self.words).is_some() {
            let count = Count { number: rows.len() as i64, at_least: false };
            return Ok(Rows { rows, count: Some(count) });
        }
        let query = query(&self.words);
        let params = ListParams::read(list, &query, conn, self.preferences, clock::now())?;
        let (found, mut count) = first_rows(list, &params, conn)?;
        let shown: Vec<i64> = found.iter().map(list.rows.id_of).collect();
        let is_other = |row: &R| number != Some((list.rows.id_of)(row));
        if let (Some(id), true, Some(count)) = (number, !rows.is_empty(), &mut count)
            && count.number <= SHOWN
            && !shown.contains(&id)
        {
            count.number += 1;
        }
        rows.extend(found.into_iter().filter(is_other).map(|row| (row, false)));
        Ok(Rows { rows, count })
    }

    fn group<R>(
        &self,
        id: &'static str,
        list: &'static List<R>,
        found: Rows<R>,
        hit: impl Fn(R, bool) -> Hit,
    ) -> Group {
        let shown = found.rows.len();
        let count = match found.count {
            Some(count) if count.number == 1 && !count.at_least => "1 result".to_owned(),
            Some(count) => format!("{} results", capped(count)),
            None => format!("the first {shown}"),
        };
        let hits = found.rows.into_iter().map(|(row, by_id)| hit(row, by_id)).collect();
        Group {
            id,
            title: list.title,
            hits,
            count,
            all: Some(format!("{}?{}", list.path, query(&self.words))),
        }
    }

    /// Reads the texts of chats, which may have the hit far behind their beginning.
    fn texts(&self, conn: &mut DbConnection, chats: &Rows<Named<Chat>>) -> Result<Vec<Chat>> {
        let ids: Vec<i64> = chats.rows.iter().map(|(chat, _)| chat.row.id).collect();
        Ok(Chat::load_cut(conn, &ids, LOOKED_AT)?)
    }

    fn user(&self, listed: &ListedUser, is_by_id: bool) -> Hit {
        let user = &listed.user;
        let state = if user.is_active { "" } else { " · inactive" };
        Hit {
            href: paths::user(user.id),
            label: marked(&user.username, &self.words, Matching::Parts),
            text: plain(format!("{} tokens{state}", format::tokens(user.tokens))),
            is_by_id,
        }
    }

    fn chat(&self, chat: &Named<Chat>, texts: &[Chat], is_by_id: bool) -> Hit {
        let whole = texts.iter().find(|whole| whole.id == chat.row.id).unwrap_or(&chat.row);
        let said = [Some(whole.message.as_str()), whole.response.as_deref()];
        let found = said.into_iter().flatten().find_map(|text| snippet(text, &self.words));
        let user = text_of(&chat.user(chat.row.user_id));
        Hit {
            href: paths::chat(chat.row.id),
            label: plain(format!("#{} · {user}", chat.row.id)),
            text: found.unwrap_or_else(|| beginning(&whole.message)),
            is_by_id,
        }
    }

    fn entry(&self, entry: &Named<LedgerEntry>, is_by_id: bool) -> Hit {
        let row = &entry.row;
        let user = text_of(&entry.user(row.user_id));
        let found = snippet(&row.note, &self.words);
        let otherwise = if row.note.is_empty() { row.kind.as_str() } else { row.note.as_str() };
        Hit {
            href: format!("{}?{}", paths::LEDGER, query(&format!("#{}", row.id))),
            label: plain(format!("#{} · {user} · {}", row.id, format::signed(row.amount))),
            text: found.unwrap_or_else(|| beginning(otherwise)),
            is_by_id,
        }
    }

    fn event(&self, entry: &Named<AuditEntry>, is_by_id: bool) -> Hit {
        let row = &entry.row;
        let actor = text_of(&entry.actor(row.actor_id));
        let object = history::object(entry);
        let label = format!("{actor} · {} · {}", Action::text_of(&row.action), text_of(&object));
        let href = match object {
            Cell::Link { href, .. } => format!("{href}history/"),
            _ => format!("{}?{}", paths::HISTORY, query(&self.words)),
        };
        Hit {
            href,
            label: marked(&label, &self.words, Matching::Parts),
            text: self.event_text(row),
            is_by_id,
        }
    }

    /// Returns the reason, the changes or the address of an entry, whichever has a hit.
    fn event_text(&self, row: &AuditEntry) -> Vec<Part> {
        let changes = row.changes().into_iter();
        let changes: Vec<String> = changes
            .map(|change| format!("{}: {} → {}", change.label(), change.before, change.after))
            .collect();
        let texts = [row.note.clone(), changes.join(", ")];
        let found = texts.iter().find_map(|text| snippet(text, &self.words));
        let address = marked(&row.address, &self.words, Matching::Parts);
        let has_hit = address.iter().any(|part| part.is_hit);
        found.unwrap_or_else(|| if has_hit { address } else { beginning(&row.note) })
    }

    fn auth_token(&self, token: &Named<AuthToken>, is_by_id: bool) -> Hit {
        let row = &token.row;
        let name = row.name.as_deref().unwrap_or("made by a login");
        let user = text_of(&token.user(row.user_id));
        let mut text = marked(name, &self.words, Matching::Parts);
        text.extend(plain(format!(" · {user}")));
        Hit {
            href: paths::auth_token(row.id),
            label: marked(&format!("{}…", row.first_characters), &self.words, Matching::Parts),
            text,
            is_by_id,
        }
    }
}

fn text_of(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Link { text, .. } => text.clone(),
        _ => String::new(),
    }
}
