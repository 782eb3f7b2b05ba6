//! The ledger: a read-only list, with sums on demand.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::kit::administrator::Administrator;
use super::kit::list::{
    Cell, Choice, Clause, Column, Filter, List, ListParams, ListView, Rows, Searched, Sort, Tab, Tone,
    between_ids, read,
};
use super::kit::names::Named;
use super::kit::page::{Crumb, Frame, page};
use super::kit::paths;
use super::kit::{PageError, id_in, plain_id};
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::list::{ListQuery, SortKey, Sums};
use crate::models::{EntryKind, LedgerEntry};

/// The most entries that are summed. If there are more, the page says so.
const MOST_SUMMED: i64 = 20_000;

const ROWS: Rows<Named<LedgerEntry>> =
    Rows { from: "ledger_entries", id: "ledger_entries.id", load, id_of: |e| e.row.id };

/// All ledger entries. Pages of users and chats show some of them with the same columns.
pub(super) static LEDGER: List<Named<LedgerEntry>> = List::new("Ledger", paths::LEDGER, ROWS)
    .named("entry", "entries")
    .columns(&[
        Column::text("Entry", |e: &Named<LedgerEntry>| Cell::Id(e.row.id)).sort("id"),
        Column::text("When", |e| Cell::Time(e.row.created_at)),
        Column::text("User", |e| e.user(e.row.user_id)),
        Column::text("Kind", |e| kind(e.row.kind)),
        Column::number("Amount", |e| Cell::Signed(e.row.amount)),
        Column::number("Balance after", |e| Cell::Tokens(e.row.balance_after)),
        Column::text("Chat", chat),
        Column::text("Reason", |e| Cell::excerpt(&e.row.note)),
        Column::text("By", |e| e.row.actor_id.map_or(Cell::Nothing, |id| e.user(id))),
    ])
    .sorts(&[Sort::descending("id", SortKey::Id)])
    .filters(&[
        Filter::user("user", "User", Clause::leading("ledger_entries.user_id = ?")),
        Filter::choice("kind", "Kind").of(&[
            Choice::new("charge", "Charge", Clause::tested("ledger_entries.kind = 'charge'")),
            Choice::new("adjustment", "Adjustment", Clause::leading(ADJUSTMENTS)),
            Choice::new("refund", "Refund", Clause::leading(REFUNDS)),
            Choice::new("opening", "Opening", Clause::leading(OPENINGS)),
            Choice::new("settlement", "Settlement", Clause::leading(SETTLEMENTS)),
        ]),
        Filter::user("actor", "By administrator", Clause::leading("ledger_entries.actor_id = ?")),
        Filter::days("date", "When", Clause::tested(DAYS)),
    ])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Adjustments", "kind=adjustment"),
        Tab::new("Refunds", "kind=refund"),
        Tab::new("Today", "date=today"),
    ])
    .search("#17 finds an entry by its id.", find)
    .empty("There are no entries yet. Each user's opening balance and each chat adds one.");

const DAYS: &str = "ledger_entries.created_at >= ? AND ledger_entries.created_at < ?";

// The index leaves out charges, which are nearly all entries. A condition needs both parts, or the
// database does not use that index.
const ADJUSTMENTS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'adjustment'";
const REFUNDS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'refund'";
const OPENINGS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'opening'";
const SETTLEMENTS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'settlement'";

fn load(conn: &mut DbConnection, ids: &[i64]) -> Result<Vec<Named<LedgerEntry>>> {
    let entries = LedgerEntry::find_many(conn, ids)?;
    named(conn, entries)
}

/// Adds the names of the users and of the administrators.
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
    entry.row.chat_id.map_or(Cell::Nothing, |id| Cell::Link { text: format!("#{id}"), href: paths::chat(id) })
}

fn find(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<Searched> {
    if !params.words.is_empty() {
        let id = id_in(&params.words).or_else(|| plain_id(&params.words));
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

/// Shows the list (`GET /admin/ledger/`), and the sums if the parameter `sums` is there.
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
    let frame = Frame::new(&administrator, &[Crumb::new("Ledger", paths::LEDGER)]);
    let sum_up = format!("?{}&sums=1", list.here);
    page(&LedgerPage { frame, list, sums, sum_up }).map_err(PageError::from)
}

fn sums(conn: &mut DbConnection, params: &ListParams) -> Result<Sums> {
    let mut query = params.query(&LEDGER);
    find(conn, params, &mut query)?;
    Ok(query.sums(conn, "ledger_entries.amount", MOST_SUMMED)?)
}
