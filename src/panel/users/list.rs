//! The list of users.

use std::collections::{BTreeSet, HashMap};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use chrono::{NaiveDateTime, TimeDelta};

use crate::clock;
use crate::db::{Db, DbConnection};
use crate::domain::{fold, mixes_scripts};
use crate::error::{Error, Result};
use crate::index::follower::{Followed, lag};
use crate::index::search::{self, SearchIndex, Span, Term, Wanted, is_exact, wanted_parts};
use crate::models::list::{
    Condition, Count, ListQuery, MOST_COUNTED, MOST_GATHERED, NameTest, SortKey, Value,
};
use crate::models::{User, UserActivity, UserRows, first_id_since};
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{
    BulkAction, Cell, Choice, Clause, Column, Filter, List, ListParams, ListView, Rows, Searched, Sort, Tab,
    Tone, capped, read,
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
    /// What the user did in the past seven days.
    /// `None` while the index is being built.
    pub activity: Option<UserActivity>,
}

/// All users. The search box at the top and the suggestions use this list, too.
pub(in crate::panel) static USERS: List<ListedUser> = List::new("Users", paths::USERS, ROWS)
    .named("user", "users")
    .columns(&[
        Column::text("Name", main).lead().sort("name"),
        Column::number("Balance", |row: &ListedUser| Cell::Tokens(row.user.tokens)).end().sort("balance"),
        Column::word("State", |row: &ListedUser| state(&row.user)).note(),
        Column::word("Rights", |row: &ListedUser| rights(&row.user)).note().if_telling(),
        Column::time("Joined", |row: &ListedUser| Cell::Time(row.user.date_joined)).note().sort("joined"),
        Column::time("Last login", |row: &ListedUser| Cell::time(row.user.last_login)).sort("last_login"),
        Column::time("Last chat", |row: &ListedUser| {
            Cell::time(row.activity.and_then(|activity| activity.last_chat))
        }),
        Column::number("Chats in 7 days", |row: &ListedUser| chats(row)),
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
        Filter::amounts_by("tokens", "Balance range", balances),
        Filter::choice("login", "Last login").of(&[
            Choice::new("never", "Never", NEVER_LOGGED_IN),
            Choice::new("ever", "Has logged in", Clause::tested("users.last_login IS NOT NULL")),
        ]),
        Filter::choice(CHATTED, "Last chat").without_counts().of(&[
            Choice::new("today", "Today", ANY),
            Choice::new("7days", "In the past 7 days", ANY),
            Choice::new("30days", "In the past 30 days", ANY),
            Choice::new("not30days", "Not in the past 30 days", ANY),
            Choice::new("never", "Never", ANY),
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
    .search("Any part of a name, or #id", find_names)
    .actions(&[
        BulkAction::new("adjust", "Adjust balances…").with_amount(),
        BulkAction::new("limits", "Set limits…"),
        BulkAction::new("deactivate", "Deactivate…"),
        BulkAction::new("reactivate", "Reactivate…"),
        BulkAction::new("log-out", "Log out everywhere…"),
    ])
    .note(note)
    .labels(|row| row.user.username.clone())
    .empty("No users yet. They register through the API, or you add them here.");

const ROWS: Rows<ListedUser> = Rows { from: "users", id: "users.id", load, id_of: |row| row.user.id };

/// The name of the filter by the last chat.
const CHATTED: &str = "chatted";

/// The condition of its choices until [`find_names`] knows the ids of the chats.
const ANY: Clause = Clause::tested(ANY_USER);
const ANY_USER: &str = "1 = 1";

fn load(conn: &mut DbConnection, ids: &[i64]) -> Result<Vec<ListedUser>> {
    let mut alike = User::look_alikes(conn, ids)?;
    let week = first_id_since(conn, "chats", clock::now() - TimeDelta::days(7))?.unwrap_or(i64::MAX);
    let is_known = !matches!(UserRows::Chats.check(conn), Err(Error::IndexBehind(_)));
    let mut activity = if is_known { UserActivity::of(conn, ids, week)? } else { HashMap::new() };
    let listed = |user: User| ListedUser {
        looks_like: alike.remove(&user.id),
        activity: activity.remove(&user.id),
        user,
    };
    Ok(User::find_many(conn, ids)?.into_iter().map(listed).collect())
}

fn chats(row: &ListedUser) -> Cell {
    row.activity.map_or(Cell::Nothing, |activity| Cell::Text(capped(activity.chats)))
}

/// Replaces the condition of the filter by the last chat. Chats are in the order of their ids, so
/// the id of the first one in the period decides.
fn narrow_by_chats(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<()> {
    let Some(value) = params.value(CHATTED) else { return Ok(()) };
    // While the index is being built, nearly everybody would seem to have sent nothing.
    UserRows::Chats.check(conn)?;
    query.conditions.retain(|condition| condition.sql != ANY_USER);
    let since = match value {
        "today" => params.zone.start_of(params.zone.date_of(params.now)),
        "7days" => params.now - TimeDelta::days(7),
        "30days" | "not30days" => params.now - TimeDelta::days(30),
        _ => NaiveDateTime::default(),
    };
    let first = first_id_since(conn, "chats", since)?.unwrap_or(i64::MAX);
    query.conditions.push(match value {
        "not30days" | "never" => UserActivity::not_since(conn, first),
        _ => UserActivity::since(conn, first),
    });
    Ok(())
}

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

/// Selects a range of balances, from the same copies.
fn balances(params: &ListParams) -> Clause {
    if params.sort == "balance" {
        return Clause::leading("user_balances.balance >= ? AND user_balances.balance <= ?");
    }
    Clause::gathered(
        "(SELECT b.balance FROM user_balances b WHERE b.user_id = users.id) BETWEEN ? AND ?",
        "SELECT user_balances.user_id FROM user_balances
         WHERE user_balances.balance >= ? AND user_balances.balance <= ?",
    )
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

/// Searches names for every word: any part of a name, in every script, whatever its accents.
pub(super) fn find_names(
    conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
) -> Result<Searched> {
    let mut name = "users.username_canonical";
    if params.sort == "balance" {
        // The follower's copy has the index on balances, so that a debit need not update one.
        query.from = "user_balances";
        query.id = "user_balances.user_id";
        query.tests_on = Some("users WHERE users.id = user_balances.user_id");
        name = "(SELECT users.username_canonical FROM users WHERE users.id = user_balances.user_id)";
    }
    narrow_by_chats(conn, params, query)?;
    let mut words = Vec::new();
    for word in params.words.split_whitespace().take(MOST_WORDS) {
        match id_in(word) {
            Some(id) => query.among = Some(vec![id]),
            None => words.push(fold(word)),
        }
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        return Ok(Searched::Narrowed);
    }
    let searched = if query.among.is_none() { narrow_by_names(conn, params, query, &words)? } else { None };
    // The terms of a long word may be in a name in another order.
    query.names = Some(NameTest { name, words });
    Ok(searched.map_or(Searched::Narrowed, Searched::Counted))
}

/// The most words of a name that are searched for.
const MOST_WORDS: usize = 5;

/// Narrows the query to the users whose names have the terms of the words, if they are few, which
/// are then sorted. If there are many, walking the order soon finds a page of them. Then it returns
/// their number, if it is known.
fn narrow_by_names(
    conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
    words: &[String],
) -> Result<Option<Count>> {
    let terms: BTreeSet<Term> = words.iter().flat_map(|word| wanted_parts(word)).collect();
    let most = usize::try_from(MOST_COUNTED).unwrap_or(usize::MAX);
    let span = Span { above: 0, below: i64::MAX, descending: true, limit: most.saturating_add(1) };
    let hits = search::find(conn, SearchIndex::Users, &Wanted::terms(terms), span)?;
    if hits.looked_until.is_some() {
        return Ok(None);
    }
    let number = i64::try_from(hits.ids.len()).unwrap_or(i64::MAX);
    if number <= MOST_GATHERED {
        query.among = Some(hits.ids);
        return Ok(None);
    }
    let is_known = params.picked.is_empty() && words.iter().all(|word| is_exact(word));
    Ok(is_known.then_some(Count { number: number.min(MOST_COUNTED), at_least: number > MOST_COUNTED }))
}

fn is_by_balance(name: &str) -> bool {
    ["balance", "tokens_from", "tokens_to"].contains(&name)
}

/// Whether a query string filters or sorts by balances, which the follower keeps.
fn by_balance(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| is_by_balance(&name) || (name == "sort" && value.ends_with("balance")))
}

/// Returns a note if balances or chats decide which users match, and the follower is behind.
fn note(conn: &mut DbConnection, query: &str) -> Result<Option<String>> {
    let is_by_chats = url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == CHATTED);
    let behind = if is_by_chats { UserRows::Chats.behind(conn)? } else { 0 };
    if behind > 0 {
        let chats = format::counted(behind, "new chat is", "new chats are");
        return Ok(Some(format!("{chats} not counted yet: the list catches up in the background.")));
    }
    if !by_balance(query) {
        return Ok(None);
    }
    let behind = lag(conn, Followed::LedgerEntries)?;
    let entries = format::counted(behind, "ledger entry", "ledger entries");
    Ok((behind > 0).then(|| {
        format!(
            "Filters and sorting by balance are {entries} behind. The balances shown are up to \
             date."
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
        list.notes.push(format!("{behind} not in this list yet."));
    }
    list.notes.extend(note);
    page(&UsersPage { frame, list, may_change: administrator.may_change() }).map_err(PageError::from)
}
