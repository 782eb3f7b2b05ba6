//! The ledger: a read-only list, with sums on demand.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use chrono::TimeDelta;

use super::kit::administrator::Administrator;
use super::kit::list::{
    ByWords, Cell, Choice, Clause, Column, Filter, List, ListParams, ListView, Rows, Searched, Sort, Tab,
    Tone, between_ids, catching_up, few_hits, read,
};
use super::kit::names::Named;
use super::kit::page::{Crumb, Frame, page};
use super::kit::paths;
use super::kit::{PageError, id_in};
use super::statement::Statement;
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::index::search::{SearchIndex, Term, Wanted, are_too_many, wanted_words};
use crate::models::list::{ListQuery, MOST_COUNTED, SortKey, Sums, Value};
use crate::models::{EntryKind, LedgerEntry, QuarterTotal, User, UserRows};

/// The most entries that are summed. If there are more, the page says so.
const MOST_SUMMED: i64 = 20_000;
/// The most days whose sums are read from the index.
const MOST_DAYS: i64 = 100;

const ROWS: Rows<Named<LedgerEntry>> =
    Rows { from: "ledger_entries", id: "ledger_entries.id", load, id_of: |e| e.row.id };

/// All ledger entries. Pages of users and chats show some of them with the same columns.
pub(super) static LEDGER: List<Named<LedgerEntry>> = List::new("Ledger", paths::LEDGER, ROWS)
    .named("entry", "entries")
    .columns(&[
        Column::id("Entry", |e: &Named<LedgerEntry>| Cell::Id(e.row.id)).sort("id"),
        Column::time("When", |e: &Named<LedgerEntry>| Cell::Time(e.row.created_at)).note(),
        Column::name("User", |e: &Named<LedgerEntry>| e.user(e.row.user_id)).lead(),
        Column::word("Kind", |e: &Named<LedgerEntry>| kind(e.row.kind)).note(),
        Column::number("Amount", |e: &Named<LedgerEntry>| Cell::Signed(e.row.amount)).end(),
        Column::number("Balance after", |e: &Named<LedgerEntry>| Cell::Tokens(e.row.balance_after)).side(),
        Column::id("Chat", chat).note(),
        Column::text("Reason", |e: &Named<LedgerEntry>| Cell::excerpt(&e.row.note)).note(),
        Column::word("By", |e: &Named<LedgerEntry>| e.row.actor_id.map_or(Cell::Nothing, |id| e.user(id)))
            .note(),
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
            Choice::new("chats", "Charges and refunds of chats", Clause::tested(OF_CHATS)),
        ]),
        Filter::user("actor", "By administrator", Clause::leading("ledger_entries.actor_id = ?")),
        Filter::days("date", "When", Clause::tested(DAYS)),
        Filter::amounts("amount", "Amount", Clause::tested("ledger_entries.amount BETWEEN ? AND ?")),
    ])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Adjustments", "kind=adjustment"),
        Tab::new("Refunds", "kind=refund"),
        Tab::new("Today", "date=today"),
    ])
    .search("Words of a reason, or #id", find)
    .empty("There are no entries yet. The first one is a user's opening balance.");

const DAYS: &str = "ledger_entries.created_at >= ? AND ledger_entries.created_at < ?";

// The index leaves out charges, which are nearly all entries. A condition needs both parts, or the
// database does not use that index.
const ADJUSTMENTS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'adjustment'";
const REFUNDS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'refund'";
const OPENINGS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'opening'";
const SETTLEMENTS: &str = "ledger_entries.kind <> 'charge' AND ledger_entries.kind = 'settlement'";
// What users paid for chats, less what was returned. Nearly all entries are.
const OF_CHATS: &str = "ledger_entries.kind IN ('charge', 'settlement', 'refund')";

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
    let wanted = wanted_words(&params.words);
    if let Some(id) = id_in(&params.words) {
        query.among = Some(vec![id]);
    } else if !params.words.is_empty() {
        // Where only punctuation was typed, no word consists of that.
        let hits = match wanted.is_empty() {
            true => Some(Vec::new()),
            false => few_hits(conn, SearchIndex::Reasons, &Wanted::terms(wanted))?,
        };
        let Some(hits) = hits else { return by_reason(params).page(conn, params) };
        query.among = Some(hits);
    }
    between_ids(conn, params, query, "ledger_entries")?;
    UserRows::LedgerEntries.narrow(conn, query)?;
    Ok(Searched::Narrowed)
}

/// The search for the words and the filters in the search table.
fn by_reason(params: &ListParams) -> ByWords {
    let mut wanted = Wanted::terms(wanted_words(&params.words));
    let mut tests = Vec::new();
    for picked in &params.picked {
        wanted = match (picked.name, picked.condition.values.as_slice()) {
            ("user", [Value::Integer(id)]) => wanted.and(Term::user(*id)),
            ("actor", [Value::Integer(id)]) => wanted.and(Term::actor(*id)),
            ("kind", _) if picked.value == "chats" => {
                let kinds = [EntryKind::Charge, EntryKind::Settlement, EntryKind::Refund];
                wanted.and_any(kinds.map(|kind| vec![Term::kind(kind.as_str())]))
            }
            ("kind", _) => wanted.and(Term::kind(&picked.value)),
            ("date", _) => wanted,
            _ => {
                tests.push(picked.condition.clone());
                wanted
            }
        };
    }
    let (index, id) = (SearchIndex::Reasons, "ledger_entries.id");
    ByWords { index, table: "ledger_entries", id, wanted, tests }
}

#[derive(Template)]
#[template(path = "admin/ledger.html")]
struct LedgerPage {
    frame: Frame,
    list: ListView,
    sums: Option<Sums>,
    /// The heading on paper, if the list is of one user.
    statement: Option<Statement>,
    /// The link that asks for the sums.
    sum_up: String,
}

/// Shows the list (`GET /admin/ledger/`), and the sums if the parameter `sums` is there.
pub(super) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let mut list = read(&LEDGER, &request, &administrator, &db).await?;
    if are_too_many(&list.words) {
        list.notes.push("Only ten of these words are searched for.".to_owned());
    }
    if !list.words.is_empty() {
        let behind = db.read(|conn| Ok(lag(conn, Followed::LedgerEntries)?)).await?;
        list.notes.extend(catching_up(behind, "entry is", "entries are"));
    }
    let query = request.query_string().to_owned();
    let has = |wanted: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.any(|(name, value)| name == wanted && !value.is_empty())
    };
    let wants_sums = has("sums");
    let statement = if has("user") { statement(&list, &administrator, &db).await? } else { None };
    if statement.is_some() {
        list.leave_off_paper("User");
    }
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
    page(&LedgerPage { frame, list, sums, statement, sum_up }).map_err(PageError::from)
}

/// Returns the heading on paper for the entries on the page, if they are of one user.
async fn statement(list: &ListView, administrator: &Administrator, db: &Db) -> Result<Option<Statement>> {
    let ids: Vec<i64> = list.rows.iter().map(|row| row.id).collect();
    let zone = administrator.zone;
    db.read(move |conn| {
        let entries = LedgerEntry::find_many(conn, &ids)?;
        let Some(first) = entries.first() else { return Ok(None) };
        let user = User::find(conn, first.user_id)?;
        Ok(user.and_then(|user| Statement::new(&user.username, &entries, zone, clock::now())))
    })
    .await
}

fn sums(conn: &mut DbConnection, params: &ListParams) -> Result<Sums> {
    let mut query = params.query(&LEDGER);
    let found = find(conn, params, &mut query)?;
    let mut is_cut = false;
    if let Searched::Page(..) = found {
        // Many entries have these words.
        let most = usize::try_from(MOST_COUNTED).unwrap_or(usize::MAX);
        let ids = by_reason(params).ids(conn, params, most)?;
        is_cut = ids.len() >= most;
        query.among = Some(ids);
    }
    let sums = query.sums(conn, "ledger_entries.amount", MOST_SUMMED)?;
    let sums = Sums { is_cut: sums.is_cut || is_cut, ..sums };
    if !sums.is_cut {
        return Ok(sums);
    }
    Ok(sums_of_days(conn, params)?.unwrap_or(sums))
}

/// Returns the sums of whole days, which the index has, if nothing else is asked for than days and
/// a kind. So the sums of busy days are complete, too.
fn sums_of_days(conn: &mut DbConnection, params: &ListParams) -> Result<Option<Sums>> {
    let is_by_days = params.picked.iter().all(|picked| ["date", "kind"].contains(&picked.name));
    let Some([Value::Time(from), Value::Time(to)]) = params.values_of("date") else { return Ok(None) };
    if !is_by_days || !params.words.is_empty() || *to - *from > TimeDelta::days(MOST_DAYS) {
        return Ok(None);
    }
    let mut sums = Sums::default();
    for (kind, number, amount) in QuarterTotal::of_period(conn, *from, *to)? {
        // An adjustment is counted under its own kind, and summed under the way it went.
        let (stored, is_counted, is_summed) = match kind.as_str() {
            "granted" | "taken" => ("adjustment", false, true),
            "adjustment" => ("adjustment", true, false),
            other => (other, true, true),
        };
        let is_wanted = match params.value("kind") {
            // The sums are also of chats that failed, which are no entries.
            None => EntryKind::named(stored).is_some(),
            Some("chats") => ["charge", "settlement", "refund"].contains(&stored),
            Some(wanted) => wanted == stored,
        };
        if is_wanted {
            sums.number += if is_counted { number } else { 0 };
            let amount = if is_summed { amount } else { 0 };
            sums.given = sums.given.saturating_add(amount.max(0));
            sums.taken = sums.taken.saturating_add(amount.min(0));
        }
    }
    Ok(Some(sums))
}
