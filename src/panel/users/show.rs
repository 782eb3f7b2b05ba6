//! A user's page: everything about one user in one place.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;

use super::limits;
use super::list::{mark, rights};
use crate::auth::Auth;
use crate::db::DbConnection;
use crate::error::Result;
use crate::http::Site;
use crate::models::{AuditEntry, AuthToken, Chat, Keyset, LedgerEntry, Session, User};
use crate::panel::auth_tokens::AUTH_TOKENS;
use crate::panel::chats::CHATS;
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::From;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::list::{Cell, Tone};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::sessions::sessions_table;
use crate::panel::kit::table::Table;
use crate::panel::kit::{PageError, back_to, id};
use crate::panel::ledger::LEDGER;
use crate::panel::{auth_tokens, chats, ledger};

/// The most rows in each table. The lists have the rest.
const SHOWN: i64 = 10;

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    frame: Frame,
    user: User,
    held: i64,
    state: Cell,
    rights: Cell,
    /// A warning about the name, if it looks like another one.
    mark: Option<String>,
    last_login: Cell,
    entries: Table,
    chats: Table,
    tokens: Table,
    sessions: Table,
    limits: Vec<Fact>,
    history: Vec<HistoryLine>,
    may_change: bool,
    /// The link to the form, which leads back to the list.
    edit: String,
}

/// What one read returns.
struct UserOverview {
    user: User,
    looks_like: Option<String>,
    held: i64,
    entries: Vec<Named<LedgerEntry>>,
    chats: Vec<Named<Chat>>,
    tokens: Vec<Named<AuthToken>>,
    sessions: Vec<Session>,
    history: Vec<HistoryLine>,
}

fn read(
    conn: &mut DbConnection,
    user_id: i64,
    idle_since: chrono::NaiveDateTime,
    now: chrono::NaiveDateTime,
) -> Result<Option<UserOverview>> {
    let Some((user, held)) = User::find_with_held(conn, user_id)? else { return Ok(None) };
    let first = Keyset { limit: SHOWN, before: None };
    let mut tokens = AuthToken::live_of(conn, user_id, now)?;
    tokens.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let history = AuditEntry::latest_of_user(conn, user_id, SHOWN)?;
    let entries = LedgerEntry::page_of(conn, user_id, first)?;
    let chats = Chat::excerpts_of(conn, user_id, first)?;
    Ok(Some(UserOverview {
        entries: ledger::named(conn, entries)?,
        chats: chats::named(conn, chats)?,
        tokens: auth_tokens::named(conn, tokens)?,
        sessions: Session::live_of(conn, user_id, idle_since, now)?,
        history: describe(conn, history)?,
        looks_like: User::look_alikes(conn, &[user_id])?.remove(&user_id),
        user,
        held,
    }))
}

/// Shows the page (`GET /admin/users/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    from: Query<From>,
    auth: Data<Auth>,
    site: Data<Site>,
) -> Result<HttpResponse, PageError> {
    let (user_id, now) = (id(&place)?, crate::clock::now());
    let idle_since = now - auth.rules.session_idle;
    let read = move |conn: &mut DbConnection| read(conn, user_id, idle_since, now);
    let found = auth.db.read_in_turn(administrator.user.id, read).await?;
    let Some(found) = found else { return Err(PageError::Missing("user", paths::USERS)) };
    let here = paths::user(user_id);
    let users = back_to(paths::USERS, &from.list);
    let frame = Frame::new(
        &administrator,
        &[
            Crumb::new("Users", users.as_deref().unwrap_or(paths::USERS)),
            Crumb::new(&found.user.username, &here),
        ],
    );
    let state = if found.user.is_active {
        Cell::badge("active", Tone::Good)
    } else {
        Cell::badge("inactive", Tone::Warning)
    };
    page(&UserPage {
        frame,
        held: found.held,
        state,
        rights: rights(&found.user),
        mark: mark(&found.user.username, found.looks_like.as_deref()),
        last_login: Cell::time(found.user.last_login),
        entries: Table::of(&LEDGER, &found.entries, &["User"], "There are no entries."),
        chats: Table::of(&CHATS, &found.chats, &["User"], "There are no chats yet."),
        tokens: tokens_table(&found.tokens, administrator.may_change()),
        sessions: sessions_table(&found.sessions, administrator.session.id),
        limits: limits::facts(&found.user, &site),
        history: found.history,
        may_change: administrator.may_change(),
        edit: edit_href(user_id, &from.list),
        user: found.user,
    })
    .map_err(PageError::from)
}

/// A table of the live auth tokens. If `may_change`, each has a link that revokes it.
fn tokens_table(tokens: &[Named<AuthToken>], may_change: bool) -> Table {
    let table =
        Table::of(&AUTH_TOKENS, tokens, &["User", "State", "Revoked"], "There are no live auth tokens.");
    if !may_change {
        return table;
    }
    let revoke = |token: &Named<AuthToken>| Cell::Link {
        text: format!("Revoke {}…", token.row.first_characters),
        href: paths::revoke(token.row.id),
    };
    table.and("Revoke", tokens.iter().map(revoke))
}

fn edit_href(user_id: i64, list: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match list {
        "" => paths::edit_user(user_id),
        list => format!("{}?{}", paths::edit_user(user_id), query.append_pair("list", list).finish()),
    }
}
