//! The ledger: read only, with sums on demand.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::kit::PageError;
use super::kit::administrator::Administrator;
use super::kit::list::{
    Cell, Choice, Column, Filter, FilterKind, List, ListParams, ListView, Search, Searched, Sort, Tone,
    between_ids, read,
};
use super::kit::names::Named;
use super::kit::page::{Frame, page};
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::list::{Condition, ListQuery, SortKey, Sums, Value};
use crate::models::{EntryKind, LedgerEntry};

/// Entries that are summed up at most; beyond it the page says so.
const MOST_SUMMED: i64 = 20_000;

pub(super) static LEDGER: List<Named<LedgerEntry>> = List {
    path: "/admin/ledger/",
    title: "Ledger",
    one: "entry",
    many: "entries",
    from: "ledger_entries",
    id: "ledger_entries.id",
    columns: &[
        Column { label: "Entry", sort: Some("id"), is_number: false, cell: |e| Cell::Id(e.row.id) },
        Column { label: "When", sort: None, is_number: false, cell: |e| Cell::Time(e.row.created_at) },
        Column { label: "User", sort: None, is_number: false, cell: |e| e.user(e.row.user_id) },
        Column { label: "Kind", sort: None, is_number: false, cell: |e| kind(e.row.kind) },
        Column { label: "Amount", sort: None, is_number: true, cell: |e| Cell::Signed(e.row.amount) },
        Column {
            label: "Balance after",
            sort: None,
            is_number: true,
            cell: |e| Cell::Tokens(e.row.balance_after),
        },
        Column { label: "Chat", sort: None, is_number: false, cell: chat },
        Column { label: "Reason", sort: None, is_number: false, cell: |e| Cell::excerpt(&e.row.note) },
        Column {
            label: "By",
            sort: None,
            is_number: false,
            cell: |e| e.row.actor_id.map_or(Cell::Nothing, |id| e.user(id)),
        },
    ],
    sorts: &[Sort { name: "id", key: SortKey::Id, descending_first: true }],
    filters: &[
        Filter {
            name: "user",
            label: "User",
            kind: FilterKind::User(|id| {
                Condition::leading("ledger_entries.user_id = ?", vec![Value::Integer(id)])
            }),
        },
        Filter {
            name: "kind",
            label: "Kind",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "charge",
                    label: "Charge",
                    condition: |_| Condition::tested("ledger_entries.kind = 'charge'", vec![]),
                },
                Choice { value: "adjustment", label: "Adjustment", condition: |_| unusual(ADJUSTMENTS) },
                Choice { value: "refund", label: "Refund", condition: |_| unusual(REFUNDS) },
                Choice { value: "opening", label: "Opening", condition: |_| unusual(OPENINGS) },
                Choice { value: "settlement", label: "Settlement", condition: |_| unusual(SETTLEMENTS) },
            ]),
        },
        Filter {
            name: "actor",
            label: "By administrator",
            kind: FilterKind::User(|id| {
                Condition::leading("ledger_entries.actor_id = ?", vec![Value::Integer(id)])
            }),
        },
        Filter {
            name: "date",
            label: "When",
            kind: FilterKind::Days(|_, from, to| {
                let values = vec![Value::Time(from), Value::Time(to)];
                Condition::tested("ledger_entries.created_at >= ? AND ledger_entries.created_at < ?", values)
            }),
        },
    ],
    tabs: &[
        ("All", ""),
        ("Adjustments", "kind=adjustment"),
        ("Refunds", "kind=refund"),
        ("Today", "date=today"),
    ],
    search: Some(Search { help: Some("#17 finds an entry by its id."), find }),
    actions: &[],
    load: |conn, ids| {
        let entries = LedgerEntry::find_many(conn, ids)?;
        named(conn, entries)
    },
    id_of: |entry| entry.row.id,
    label_of: |entry| format!("entry {}", entry.row.id),
    empty: "There are no entries yet. Each user's opening balance and each chat writes one.",
};

// The index holds all kinds but charges, which are nearly all entries; both parts are needed to be served by it.
const ADJUSTMENTS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'adjustment'";
const REFUNDS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'refund'";
const OPENINGS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'opening'";
const SETTLEMENTS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'settlement'";

fn unusual(sql: &'static str) -> Condition {
    Condition::leading(sql, vec![])
}

/// Entries with the names of their users and of who did it.
pub(super) fn named(conn: &mut DbConnection, entries: Vec<LedgerEntry>) -> Result<Vec<Named<LedgerEntry>>> {
    Named::all(conn, entries, |entry| [Some(entry.user_id), entry.actor_id])
}

fn kind(kind: EntryKind) -> Cell {
    let tone = match kind {
        EntryKind::Charge | EntryKind::Settlement => Tone::Plain,
        EntryKind::Opening => Tone::Good,
        EntryKind::Refund | EntryKind::Adjustment => Tone::Warning,
    };
    Cell::badge(kind.as_str(), tone)
}

fn chat(entry: &Named<LedgerEntry>) -> Cell {
    entry.row.chat_id.map_or(Cell::Nothing, |id| Cell::Link {
        text: format!("#{id}"),
        href: format!("/admin/chats/{id}/"),
    })
}

fn find(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<Searched> {
    if !params.words.is_empty() {
        let id = params.words.trim_start_matches('#').parse().ok();
        query.among = Some(id.into_iter().collect());
    }
    between_ids(conn, params, query, "ledger_entries")?;
    Ok(Searched::Narrowed)
}

#[derive(Template)]
#[template(path = "admin/ledger.html")]
struct LedgerPage {
    frame: Frame,
    list: ListView,
    sums: Option<Sums>,
    /// The link that asks for the sums.
    sum_up: String,
}

pub(super) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let list = read(&LEDGER, &request, &administrator, &db).await?;
    let query = request.query_string().to_owned();
    let wants_sums = url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "sums");
    let sums = if wants_sums {
        let preferences = administrator.preferences();
        db.read(move |conn| {
            let params = ListParams::read(&LEDGER, &query, conn, preferences, clock::now())?;
            sums(conn, &params).map(Some)
        })
        .await?
    } else {
        None
    };
    let frame = Frame::new(&administrator, &[("Ledger", "/admin/ledger/")]);
    let sum_up = format!("?{}&sums=1", list.here);
    page(&LedgerPage { frame, list, sums, sum_up }).map_err(PageError::from)
}

fn sums(conn: &mut DbConnection, params: &ListParams) -> Result<Sums> {
    let mut query = params.query(&LEDGER);
    find(conn, params, &mut query)?;
    Ok(query.sums(conn, "ledger_entries.amount", MOST_SUMMED)?)
}
