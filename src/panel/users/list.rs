//! The list of users.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::db::{Db, DbConnection};
use crate::domain::canonical_of;
use crate::error::Result;
use crate::follower::{Followed, lag};
use crate::models::User;
use crate::models::list::{Condition, ListQuery, MOST_GATHERED, SortKey, Value};
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{
    Cell, Choice, Column, Filter, FilterKind, List, ListParams, ListView, Search, Searched, Sort, Tone, read,
};
use crate::panel::kit::page::{Frame, page};
use crate::panel::kit::{PageError, format};
use crate::search::{self, Place, Span, Wanted, trigrams};

/// A balance below this is low: less than ten messages at the usual price.
pub(super) const LOW: i64 = 1000;

pub(in crate::panel) static USERS: List<User> = List {
    path: "/admin/users/",
    title: "Users",
    one: "user",
    many: "users",
    from: "users",
    id: "users.id",
    columns: &[
        Column {
            label: "Name",
            sort: Some("name"),
            is_number: false,
            cell: |user| Cell::Main { text: user.username.clone(), href: super::path(user.id) },
        },
        Column {
            label: "Balance",
            sort: Some("balance"),
            is_number: true,
            cell: |user| Cell::Tokens(user.tokens),
        },
        Column { label: "State", sort: None, is_number: false, cell: state },
        Column { label: "Rights", sort: None, is_number: false, cell: rights },
        Column {
            label: "Joined",
            sort: Some("joined"),
            is_number: false,
            cell: |user| Cell::Time(user.date_joined),
        },
        Column {
            label: "Last login",
            sort: Some("last_login"),
            is_number: false,
            cell: |user| Cell::time(user.last_login),
        },
        Column { label: "Id", sort: None, is_number: true, cell: |user| Cell::Id(user.id) },
    ],
    sorts: &[
        Sort { name: "joined", key: SortKey::Time("users.date_joined"), descending_first: true },
        Sort { name: "name", key: SortKey::Text("users.username_canonical"), descending_first: false },
        Sort { name: "balance", key: SortKey::Integer("user_balances.balance"), descending_first: true },
        Sort {
            name: "last_login",
            key: SortKey::Time("coalesce(users.last_login, '1970-01-01 00:00:00')"),
            descending_first: true,
        },
    ],
    filters: &[
        Filter {
            name: "active",
            label: "Active",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "yes",
                    label: "Yes",
                    condition: |_| Condition::tested("users.is_active", vec![]),
                },
                Choice {
                    value: "no",
                    label: "No",
                    condition: |_| {
                        Condition::gathered(
                            "NOT users.is_active",
                            vec![],
                            "SELECT users.id FROM users WHERE NOT users.is_active",
                        )
                    },
                },
            ]),
        },
        Filter {
            name: "staff",
            label: "Staff",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "yes",
                    label: "Yes",
                    condition: |_| {
                        Condition::gathered(
                            "(users.is_staff OR users.is_superuser)",
                            vec![],
                            "SELECT users.id FROM users WHERE users.is_staff OR users.is_superuser",
                        )
                    },
                },
                Choice {
                    value: "no",
                    label: "No",
                    condition: |_| Condition::tested("NOT (users.is_staff OR users.is_superuser)", vec![]),
                },
            ]),
        },
        Filter {
            name: "balance",
            label: "Balance",
            kind: FilterKind::Choice(&[
                Choice { value: "zero", label: "Zero", condition: |params| below(params, 1) },
                Choice { value: "low", label: "Low (below 1,000)", condition: |params| below(params, LOW) },
            ]),
        },
        Filter {
            name: "login",
            label: "Last login",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "never",
                    label: "Never",
                    condition: |_| {
                        // As the index has it.
                        Condition::gathered(
                            "coalesce(users.last_login, '1970-01-01 00:00:00') = '1970-01-01 00:00:00'",
                            vec![],
                            "SELECT users.id FROM users
                             WHERE coalesce(users.last_login, '1970-01-01 00:00:00') = '1970-01-01 00:00:00'",
                        )
                    },
                },
                Choice {
                    value: "ever",
                    label: "Has logged in",
                    condition: |_| Condition::tested("users.last_login IS NOT NULL", vec![]),
                },
            ]),
        },
        Filter {
            name: "joined",
            label: "Joined",
            kind: FilterKind::Days(|params, from, to| {
                let values = vec![Value::Time(from), Value::Time(to)];
                let condition = "users.date_joined >= ? AND users.date_joined < ?";
                if params.sort == "joined" {
                    return Condition::leading(condition, values);
                }
                let gather =
                    "SELECT users.id FROM users WHERE users.date_joined >= ? AND users.date_joined < ?";
                Condition::gathered(condition, values, gather)
            }),
        },
    ],
    tabs: &[
        ("All", ""),
        ("Low balance", "balance=low&sort=balance"),
        ("Inactive", "active=no"),
        ("Staff", "staff=yes"),
        ("New this week", "joined=7days"),
    ],
    search: Some(Search {
        help: Some("Any part of a name, or #17 for an id. Several words must all be in the name."),
        find: find_names,
    }),
    actions: &[("adjust", "Adjust balances…")],
    load: |conn, ids| Ok(User::find_many(conn, ids)?),
    id_of: |user| user.id,
    label_of: |user| user.username.clone(),
    empty: "There are no users yet. They register by the API, or you add one here.",
};

/// Balances below a bound, by what the follower keeps.
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

pub(super) fn rights(user: &User) -> Cell {
    match (user.is_superuser, user.is_staff) {
        (true, _) => Cell::badge("superuser", Tone::Plain),
        (false, true) => Cell::badge("staff", Tone::Plain),
        (false, false) => Cell::Nothing,
    }
}

/// Looks for each word in the names. A word of one or two characters is looked for where names begin.
pub(super) fn find_names(
    conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
) -> Result<Searched> {
    if params.sort == "balance" {
        // By what the follower keeps, so that a debit has no index to write.
        query.from = "user_balances";
        query.id = "user_balances.user_id";
        query.tests_on = Some("users WHERE users.id = user_balances.user_id");
    }
    let words: Vec<String> = params.words.split_whitespace().take(5).map(canonical_of).collect();
    let mut terms = Vec::new();
    for word in &words {
        if let Some(id) = word.strip_prefix('#').and_then(|id| id.parse().ok()) {
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
        let hits = search::find(conn, Place::Users, &Wanted::terms(terms), span)?;
        // Few are sorted; many are found soon enough by walking the order.
        if hits.ids.len() <= limit && hits.looked_until.is_none() {
            query.among = Some(hits.ids);
        }
    }
    Ok(Searched::Narrowed)
}

/// Whether a list of users is filtered or sorted by balances, which the follower keeps.
pub(in crate::panel) fn by_balance(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "balance" || (name == "sort" && value.ends_with("balance")))
}

/// What is said where that counts and the follower is behind.
pub(in crate::panel) fn balances_behind(entries: i64) -> String {
    let entries = format::counted(entries, "ledger entry", "ledger entries");
    format!(
        "Filters and sorting by balance are {entries} behind, and follow in the background. The balances that are \
         shown are those of this moment."
    )
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    frame: Frame,
    list: ListView,
    may_change: bool,
}

pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let frame = Frame::new(&administrator, &[("Users", "/admin/users/")]);
    let mut list = read(&USERS, &request, &administrator, &db).await?;
    let (users, entries) =
        db.read(|conn| Ok((lag(conn, Followed::Users)?, lag(conn, Followed::LedgerEntries)?))).await?;
    let is_followed = by_balance(request.query_string()) || !list.words.is_empty();
    if users > 0 && is_followed {
        let behind = format::counted(users, "new user is", "new users are");
        list.notes.push(format!("{behind} not in this list yet: it follows in the background."));
    }
    if entries > 0 && by_balance(request.query_string()) {
        list.notes.push(balances_behind(entries));
    }
    page(&UsersPage { frame, list, may_change: administrator.may_change() }).map_err(PageError::from)
}
