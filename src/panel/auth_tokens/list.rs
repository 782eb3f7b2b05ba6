//! The list of auth tokens.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::AuthToken;
use crate::models::list::{Condition, ListQuery, SortKey, Value};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{
    BulkAction, Cell, Choice, Clause, Column, Filter, List, ListParams, ListView, Rows, Searched, Sort, Tab,
    Tone, read,
};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;

/// All auth tokens. The global search and the pages of users use this list, too.
pub(in crate::panel) static AUTH_TOKENS: List<Named<AuthToken>> =
    List::new("Auth tokens", paths::AUTH_TOKENS, ROWS)
        .named("auth token", "auth tokens")
        .columns(&[
            Column::name("Begins with", main).lead().sort("id"),
            Column::text("Name", name).note(),
            Column::name("User", |token: &Named<AuthToken>| token.user(token.row.user_id)).note(),
            Column::word("State", |token: &Named<AuthToken>| state(&token.row)).end(),
            Column::time("Made", |token| Cell::Time(token.row.created_at)),
            Column::time("Last used", |token: &Named<AuthToken>| Cell::time(token.row.last_used_at)).note(),
            Column::time("Expires", |token: &Named<AuthToken>| Cell::time(token.row.expires_at)).if_any(),
            Column::time("Revoked", |token: &Named<AuthToken>| Cell::time(token.row.revoked_at)).if_any(),
        ])
        .sorts(&[Sort::descending("id", SortKey::Id)])
        .filters(&[
            Filter::user("user", "User", OF_USER),
            Filter::choice("state", "State").of(&[
                Choice::now("live", "Live", LIVE),
                Choice::new("revoked", "Revoked", Clause::tested("auth_tokens.revoked_at IS NOT NULL")),
                Choice::now("expired", "Expired", EXPIRED),
            ]),
            Filter::choice("kind", "Kind").of(&[
                Choice::new("named", "With a name", Clause::leading("auth_tokens.name IS NOT NULL")),
                Choice::new("login", "Made by a login", Clause::tested("auth_tokens.name IS NULL")),
            ]),
        ])
        .tabs(&[Tab::new("All", ""), Tab::new("Live", "state=live"), Tab::new("Named", "kind=named")])
        .search("First characters or name", find_tokens)
        .actions(&[BulkAction::new("revoke", "Revoke…")])
        .labels(|token| token.row.first_characters.clone())
        .empty("There are no auth tokens yet. A login makes one, and you can make one for a user.");

const ROWS: Rows<Named<AuthToken>> = Rows {
    from: "auth_tokens",
    id: "auth_tokens.id",
    load: |conn, ids| {
        let tokens = AuthToken::find_many(conn, ids)?;
        named(conn, tokens)
    },
    id_of: |token| token.row.id,
};

const OF_USER: Clause = Clause::gathered(
    "auth_tokens.user_id = ?",
    "SELECT auth_tokens.id FROM auth_tokens WHERE auth_tokens.user_id = ?",
);
const LIVE: Clause = Clause::tested(
    "auth_tokens.revoked_at IS NULL AND (auth_tokens.expires_at IS NULL OR auth_tokens.expires_at > ?)",
);
const EXPIRED: Clause = Clause::gathered(
    "auth_tokens.expires_at <= ?",
    "SELECT auth_tokens.id FROM auth_tokens WHERE auth_tokens.expires_at <= ?",
);

fn name(token: &Named<AuthToken>) -> Cell {
    token.row.name.clone().map_or_else(|| Cell::Text("made by a login".to_owned()), Cell::Text)
}

/// Adds the names of the users.
pub(in crate::panel) fn named(
    conn: &mut DbConnection,
    tokens: Vec<AuthToken>,
) -> Result<Vec<Named<AuthToken>>> {
    Named::all(conn, tokens, |token| [Some(token.user_id), None])
}

fn main(token: &Named<AuthToken>) -> Cell {
    Cell::Main { text: format!("{}…", token.row.first_characters), href: paths::auth_token(token.row.id) }
}

/// A badge for the state of an auth token.
pub(super) fn state(token: &AuthToken) -> Cell {
    if token.revoked_at.is_some() {
        Cell::badge("revoked", Tone::Warning)
    } else if token.expires_at.is_some_and(|expires| expires <= clock::now()) {
        Cell::badge("expired", Tone::Warning)
    } else {
        Cell::badge("live", Tone::Good)
    }
}

/// Finds auth tokens by their first characters or by the beginning of their name. Both have an
/// index, in the order of their bytes.
pub(in crate::panel) fn find_tokens(
    _conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
) -> Result<Searched> {
    if params.words.is_empty() {
        return Ok(Searched::Narrowed);
    }
    let words: String = params.words.chars().take(100).collect();
    let first: String = words.chars().take(10).collect();
    let range = |from: &str| [Value::Text(from.to_owned()), Value::Text(format!("{from}\u{10FFFF}"))];
    let values: Vec<Value> = range(&first).into_iter().chain(range(&words)).collect();
    let sql = "(auth_tokens.first_characters >= ? AND auth_tokens.first_characters < ?)
               OR (auth_tokens.name IS NOT NULL AND auth_tokens.name >= ? AND auth_tokens.name < ?)";
    let gather = "SELECT auth_tokens.id FROM auth_tokens
                  WHERE auth_tokens.first_characters >= ? AND auth_tokens.first_characters < ?
                  UNION ALL SELECT auth_tokens.id FROM auth_tokens
                  WHERE auth_tokens.name IS NOT NULL AND auth_tokens.name >= ? AND auth_tokens.name < ?";
    query.conditions.push(Condition::gathered(sql, values, gather));
    Ok(Searched::Narrowed)
}

#[derive(Template)]
#[template(path = "admin/auth_tokens.html")]
struct AuthTokensPage {
    frame: Frame,
    list: ListView,
    may_change: bool,
}

/// Shows the list (`GET /admin/auth-tokens/`).
pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let list = read(&AUTH_TOKENS, &request, &administrator, &db).await?;
    let frame = Frame::new(&administrator, &[Crumb::new("Auth tokens", paths::AUTH_TOKENS)]);
    page(&AuthTokensPage { frame, list, may_change: administrator.may_change() }).map_err(PageError::from)
}
