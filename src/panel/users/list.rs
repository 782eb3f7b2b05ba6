//! The list of users.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::db::{Db, DbConnection};
use crate::domain::{canonical_of, mixes_scripts};
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::index::search::{self, SearchIndex, Span, Wanted, trigrams};
use crate::models::User;
use crate::models::list::{Condition, ListQuery, MOST_GATHERED, SortKey, Value};
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{
    BulkAction, Cell, Choice, Clause, Column, Filter, List, ListParams, ListView, Rows, Searched, Sort, Tab,
    Tone, read,
};
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, format, id_in};

/// Balances below this count as low. It pays for ten messages at the default price.
pub(super) const LOW: i64 = 1000;

/// A user in the list.
pub(in crate::panel) struct ListedUser {
    pub user: User,
    /// The name of another user that this one's looks like.
    pub looks_like: Option<String>,
}

/// All users. The search box at the top and the suggestions use this list, too.
pub(in crate::panel) static USERS: List<ListedUser> = List::new("Users", paths::USERS, ROWS)
    .named("user", "users")
    .columns(&[
        Column::text("Name", main).sort("name"),
        Column::number("Balance", |row: &ListedUser| Cell::Tokens(row.user.tokens)).sort("balance"),
        Column::text("State", |row| state(&row.user)),
        Column::text("Rights", |row| rights(&row.user)),
        Column::text("Joined", |row: &ListedUser| Cell::Time(row.user.date_joined)).sort("joined"),
        Column::text("Last login", |row: &ListedUser| Cell::time(row.user.last_login)).sort("last_login"),
        Column::number("Id", |row| Cell::Id(row.user.id)),
    ])
    .sorts(&[
        Sort::descending("joined", SortKey::Time("users.date_joined")),
        Sort::ascending("name", SortKey::Text("users.username_canonical")),
        Sort::descending("balance", SortKey::Integer("user_balances.balance")),
        Sort::descending("last_login", SortKey::Time("coalesce(users.last_login, '1970-01-01 00:00:00')")),
    ])
    .filters(&[
        Filter::choice("active", "Active").of(&[
            Choice::new("yes", "Yes", Clause::tested("users.is_active")),
            Choice::new("no", "No", INACTIVE),
        ]),
        Filter::choice("staff", "Staff").of(&[
            Choice::new("yes", "Yes", STAFF),
            Choice::new("no", "No", Clause::tested("NOT (users.is_staff OR users.is_superuser)")),
        ]),
        Filter::choice("balance", "Balance").of(&[
            Choice::by("zero", "Zero", |params| below(params, 1)),
            Choice::by("low", "Low (below 1,000)", |params| below(params, LOW)),
        ]),
        Filter::choice("login", "Last login").of(&[
            Choice::new("never", "Never", NEVER_LOGGED_IN),
            Choice::new("ever", "Has logged in", Clause::tested("users.last_login IS NOT NULL")),
        ]),
        Filter::days("joined", "Joined", JOINED),
    ])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Low balance", "balance=low&sort=balance"),
        Tab::new("Inactive", "active=no"),
        Tab::new("Staff", "staff=yes"),
        Tab::new("New this week", "joined=7days"),
    ])
    .search(
        "Any part of a name, or #17 for an id. If there are several words, the name must contain all of \
         them.",
        find_names,
    )
    .actions(&[BulkAction::new("adjust", "Adjust balances…")])
    .note(note)
    .labels(|row| row.user.username.clone())
    .empty("There are no users yet. Users register through the API, or you can add one here.");

const ROWS: Rows<ListedUser> = Rows {
    from: "users",
    id: "users.id",
    load: |conn, ids| {
        let mut alike = User::look_alikes(conn, ids)?;
        let listed = |user: User| ListedUser { looks_like: alike.remove(&user.id), user };
        Ok(User::find_many(conn, ids)?.into_iter().map(listed).collect())
    },
    id_of: |row| row.user.id,
};

const INACTIVE: Clause =
    Clause::gathered("NOT users.is_active", "SELECT users.id FROM users WHERE NOT users.is_active");
const STAFF: Clause = Clause::gathered(
    "(users.is_staff OR users.is_superuser)",
    "SELECT users.id FROM users WHERE users.is_staff OR users.is_superuser",
);
// The same expression as in the index.
const NEVER_LOGGED_IN: Clause = Clause::gathered(
    "coalesce(users.last_login, '1970-01-01 00:00:00') = '1970-01-01 00:00:00'",
    "SELECT users.id FROM users
     WHERE coalesce(users.last_login, '1970-01-01 00:00:00') = '1970-01-01 00:00:00'",
);
const JOINED: Clause = Clause::leading_by(
    "joined",
    "users.date_joined >= ? AND users.date_joined < ?",
    "SELECT users.id FROM users WHERE users.date_joined >= ? AND users.date_joined < ?",
);

fn main(row: &ListedUser) -> Cell {
    let (text, href) = (row.user.username.clone(), paths::user(row.user.id));
    match mark(&row.user.username, row.looks_like.as_deref()) {
        Some(mark) => Cell::Marked { text, href, mark },
        None => Cell::Main { text, href },
    }
}

/// Returns a warning about an existing or imported name that no new user could have, because it
/// looks like another one.
pub(super) fn mark(username: &str, looks_like: Option<&str>) -> Option<String> {
    match looks_like {
        Some(other) => Some(format!("looks like \u{2068}{other}\u{2069}")),
        None => mixes_scripts(username).then(|| "mixed scripts".to_owned()),
    }
}

/// Selects balances below a bound, from the copies that the follower keeps.
fn below(params: &ListParams, bound: i64) -> Condition {
    let values = vec![Value::Integer(bound)];
    if params.sort == "balance" {
        return Condition::leading("user_balances.balance < ?", values);
    }
    let sql = "(SELECT b.balance FROM user_balances b WHERE b.user_id = users.id) < ?";
    let gather = "SELECT user_balances.user_id FROM user_balances WHERE user_balances.balance < ?";
    Condition::gathered(sql, values, gather)
}

fn state(user: &User) -> Cell {
    if user.is_active { Cell::badge("active", Tone::Good) } else { Cell::badge("inactive", Tone::Warning) }
}

/// A badge for the highest right that a user has.
pub(super) fn rights(user: &User) -> Cell {
    match (user.is_superuser, user.is_staff) {
        (true, _) => Cell::badge("superuser", Tone::Plain),
        (false, true) => Cell::badge("staff", Tone::Plain),
        (false, false) => Cell::Nothing,
    }
}

/// Searches names for every word. Words of one or two characters match only the beginning of a
/// name, since they have no trigrams.
pub(super) fn find_names(
    conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
) -> Result<Searched> {
    if params.sort == "balance" {
        // The follower's copy has the index on balances, so that a debit need not update one.
        query.from = "user_balances";
        query.id = "user_balances.user_id";
        query.tests_on = Some("users WHERE users.id = user_balances.user_id");
    }
    let words: Vec<String> = params.words.split_whitespace().take(5).map(canonical_of).collect();
    let mut terms = Vec::new();
    for word in &words {
        if let Some(id) = id_in(word) {
            query.among = Some(vec![id]);
            continue;
        }
        if word.chars().count() < 3 {
            let bounds = vec![Value::Text(word.clone()), Value::Text(format!("{word}\u{10FFFF}"))];
            let condition = "users.username_canonical >= ? AND users.username_canonical < ?";
            let gather = "SELECT users.id FROM users
                          WHERE users.username_canonical >= ? AND users.username_canonical < ?";
            query.conditions.push(match params.sort {
                "name" if query.conditions.is_empty() => Condition::leading(condition, bounds),
                _ => Condition::gathered(condition, bounds, gather),
            });
            continue;
        }
        terms.extend(trigrams(word));
        let pattern = word.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let values = vec![Value::Text(format!("%{pattern}%"))];
        query.conditions.push(Condition::tested("users.username_canonical LIKE ? ESCAPE '!'", values));
    }
    if !terms.is_empty() && query.among.is_none() {
        let limit = usize::try_from(MOST_GATHERED).unwrap_or(usize::MAX);
        let span = Span { above: 0, below: i64::MAX, descending: true, limit: limit + 1 };
        let hits = search::find(conn, SearchIndex::Users, &Wanted::terms(terms), span)?;
        // Few hits are sorted. If there are many, walking the order soon finds a page of them.
        if hits.ids.len() <= limit && hits.looked_until.is_none() {
            query.among = Some(hits.ids);
        }
    }
    Ok(Searched::Narrowed)
}

/// Whether a query string filters or sorts by balances, which the follower keeps.
fn by_balance(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "balance" || (name == "sort" && value.ends_with("balance")))
}

/// Returns a note if balances decide which users match, and the follower is behind.
fn note(conn: &mut DbConnection, query: &str) -> Result<Option<String>> {
    if !by_balance(query) {
        return Ok(None);
    }
    let behind = lag(conn, Followed::LedgerEntries)?;
    let entries = format::counted(behind, "ledger entry", "ledger entries");
    Ok((behind > 0).then(|| {
        format!(
            "Filters and sorting by balance are {entries} behind and catch up in the background. The \
             balances shown are up to date."
        )
    }))
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    frame: Frame,
    list: ListView,
    may_change: bool,
}

/// Shows the list (`GET /admin/users/`), with notes if the follower is behind.
pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let frame = Frame::new(&administrator, &[Crumb::new("Users", paths::USERS)]);
    let mut list = read(&USERS, &request, &administrator, &db).await?;
    let query = request.query_string().to_owned();
    let (users, note) = db.read(move |conn| Ok((lag(conn, Followed::Users)?, note(conn, &query)?))).await?;
    let is_followed = by_balance(request.query_string()) || !list.words.is_empty();
    if users > 0 && is_followed {
        let behind = format::counted(users, "new user is", "new users are");
        list.notes.push(format!("{behind} not in this list yet: it catches up in the background."));
    }
    list.notes.extend(note);
    page(&UsersPage { frame, list, may_change: administrator.may_change() }).map_err(PageError::from)
}
