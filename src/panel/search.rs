//! The search box at the top of every page, which searches users, chats, auth tokens and the ledger
//! at once.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;

use super::auth_tokens::AUTH_TOKENS;
use super::chats::CHATS;
use super::kit::administrator::Administrator;
use super::kit::list::{Cell, List, ListParams, fetch};
use super::kit::page::{Crumb, Frame, page};
use super::kit::paths;
use super::kit::preferences::Preferences;
use super::kit::table::Table;
use super::kit::{PageError, format, id_in, plain_id};
use super::ledger::LEDGER;
use super::users::USERS;
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result as TollgateResult;

/// The most rows of each kind.
const SHOWN: i64 = 5;

/// The query string of a search.
#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    q: String,
}

/// The results of one kind.
struct Group {
    id: &'static str,
    title: &'static str,
    table: Table,
    /// The link to the list with the same words.
    all: String,
}

#[derive(Template)]
#[template(path = "admin/search.html")]
struct SearchPage {
    frame: Frame,
    words: String,
    groups: Vec<Group>,
}

fn group<R>(
    conn: &mut DbConnection,
    list: &'static List<R>,
    id: &'static str,
    words: &str,
    preferences: Preferences,
) -> TollgateResult<Group> {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", words).finish();
    let params =
        ListParams::read(list, &query, conn, Preferences { page_size: SHOWN, ..preferences }, clock::now())?;
    let found = fetch(list, &params, conn)?;
    Ok(Group {
        id,
        title: list.title,
        table: Table::of(list, &found.rows, &[], "Nothing found."),
        all: format!("{}?{query}", list.path),
    })
}

fn read(conn: &mut DbConnection, words: &str, preferences: Preferences) -> TollgateResult<Vec<Group>> {
    // A number is searched for as an id, but it may also be a word or a part of a name.
    let number = id_in(words).or_else(|| plain_id(words));
    let as_id = number.map(|id| format!("#{id}"));
    let mut groups = vec![
        group(conn, &USERS, "users", words, preferences)?,
        group(conn, &CHATS, "chats", words, preferences)?,
        group(conn, &AUTH_TOKENS, "auth-tokens", words, preferences)?,
    ];
    if let Some(id) = &as_id {
        if !words.starts_with('#') {
            let by_id = [
                group(conn, &USERS, "user-by-id", id, preferences)?,
                group(conn, &CHATS, "chat-by-id", id, preferences)?,
            ];
            groups.splice(0..0, by_id.into_iter().filter(|group| !group.table.rows.is_empty()));
        }
        groups.push(group(conn, &LEDGER, "ledger", id, preferences)?);
    }
    Ok(groups)
}

/// Shows the results (`GET /admin/search/?q=…`).
pub(super) async fn show(
    administrator: Administrator,
    words: Query<Words>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let words: String = words.q.trim().chars().filter(|c| *c != '\0').take(200).collect();
    let (preferences, params) = (administrator.preferences(), words.clone());
    let groups = if words.is_empty() {
        Vec::new()
    } else {
        db.read_in_turn(administrator.user.id, move |conn| read(conn, &params, preferences)).await?
    };
    let mut frame = Frame::new(&administrator, &[Crumb::new("Search", paths::SEARCH)]);
    frame.search = words.clone();
    page(&SearchPage { frame, words, groups }).map_err(PageError::from)
}

impl Group {
    fn count(&self) -> String {
        let rows = self.table.rows.len() as i64;
        if rows >= SHOWN { format!("the first {SHOWN}") } else { format::counted(rows, "result", "results") }
    }
}
