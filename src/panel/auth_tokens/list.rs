//! The list of auth tokens.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::path;
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::AuthToken;
use crate::models::list::{Condition, ListQuery, SortKey, Value};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{
    Cell, Choice, Column, Filter, FilterKind, List, ListParams, ListView, Search, Searched, Sort, Tone, read,
};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::{Frame, page};

pub(in crate::panel) static AUTH_TOKENS: List<Named<AuthToken>> = List {
    path: "/admin/auth-tokens/",
    title: "Auth tokens",
    one: "auth token",
    many: "auth tokens",
    from: "auth_tokens",
    id: "auth_tokens.id",
    columns: &[
        Column { label: "Begins with", sort: Some("id"), is_number: false, cell: main },
        Column {
            label: "Name",
            sort: None,
            is_number: false,
            cell: |token| {
                token.row.name.clone().map_or_else(|| Cell::Text("made by a login".to_owned()), Cell::Text)
            },
        },
        Column { label: "User", sort: None, is_number: false, cell: |token| token.user(token.row.user_id) },
        Column { label: "State", sort: None, is_number: false, cell: |token| state(&token.row) },
        Column {
            label: "Made",
            sort: None,
            is_number: false,
            cell: |token| Cell::Time(token.row.created_at),
        },
        Column {
            label: "Last used",
            sort: None,
            is_number: false,
            cell: |token| Cell::time(token.row.last_used_at),
        },
        Column {
            label: "Expires",
            sort: None,
            is_number: false,
            cell: |token| Cell::time(token.row.expires_at),
        },
        Column {
            label: "Revoked",
            sort: None,
            is_number: false,
            cell: |token| Cell::time(token.row.revoked_at),
        },
    ],
    sorts: &[Sort { name: "id", key: SortKey::Id, descending_first: true }],
    filters: &[
        Filter {
            name: "user",
            label: "User",
            kind: FilterKind::User(|id| {
                let gather = "SELECT auth_tokens.id FROM auth_tokens WHERE auth_tokens.user_id = ?";
                Condition::gathered("auth_tokens.user_id = ?", vec![Value::Integer(id)], gather)
            }),
        },
        Filter {
            name: "state",
            label: "State",
            kind: FilterKind::Choice(&[
                Choice { value: "live", label: "Live", condition: live },
                Choice {
                    value: "revoked",
                    label: "Revoked",
                    condition: |_| Condition::tested("auth_tokens.revoked_at IS NOT NULL", vec![]),
                },
                Choice { value: "expired", label: "Expired", condition: expired },
            ]),
        },
        Filter {
            name: "kind",
            label: "Made by",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "named",
                    label: "On purpose, with a name",
                    condition: |_| Condition::leading("auth_tokens.name IS NOT NULL", vec![]),
                },
                Choice {
                    value: "login",
                    label: "A login",
                    condition: |_| Condition::tested("auth_tokens.name IS NULL", vec![]),
                },
            ]),
        },
    ],
    tabs: &[("All", ""), ("Live", "state=live"), ("Named", "kind=named")],
    search: Some(Search {
        help: Some(
            "The first characters of an auth token (at most ten are stored), or its name from its beginning.",
        ),
        find: find_tokens,
    }),
    actions: &[("revoke", "Revoke…")],
    load: |conn, ids| {
        let tokens = AuthToken::find_many(conn, ids)?;
        named(conn, tokens)
    },
    id_of: |token| token.row.id,
    label_of: |token| token.row.first_characters.clone(),
    empty: "There are no auth tokens yet. A login makes one, and you can make one for a user.",
};

pub(in crate::panel) fn named(
    conn: &mut DbConnection,
    tokens: Vec<AuthToken>,
) -> Result<Vec<Named<AuthToken>>> {
    Named::all(conn, tokens, |token| [Some(token.user_id), None])
}

fn main(token: &Named<AuthToken>) -> Cell {
    Cell::Main { text: format!("{}…", token.row.first_characters), href: path(token.row.id) }
}

pub(super) fn state(token: &AuthToken) -> Cell {
    if token.revoked_at.is_some() {
        Cell::badge("revoked", Tone::Warning)
    } else if token.expires_at.is_some_and(|expires| expires <= clock::now()) {
        Cell::badge("expired", Tone::Warning)
    } else {
        Cell::badge("live", Tone::Good)
    }
}

fn live(params: &ListParams) -> Condition {
    let sql =
        "auth_tokens.revoked_at IS NULL AND (auth_tokens.expires_at IS NULL OR auth_tokens.expires_at > ?)";
    Condition::tested(sql, vec![Value::Time(params.now)])
}

fn expired(params: &ListParams) -> Condition {
    let sql = "auth_tokens.expires_at <= ?";
    let gather = "SELECT auth_tokens.id FROM auth_tokens WHERE auth_tokens.expires_at <= ?";
    Condition::gathered(sql, vec![Value::Time(params.now)], gather)
}

/// Both the first characters and the names have an index, in the order of their bytes.
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

pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let list = read(&AUTH_TOKENS, &request, &administrator, &db).await?;
    let frame = Frame::new(&administrator, &[("Auth tokens", "/admin/auth-tokens/")]);
    page(&AuthTokensPage { frame, list, may_change: administrator.may_change() }).map_err(PageError::from)
}
