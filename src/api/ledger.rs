//! `GET /ledger/`: the user's own statement, with the running balance.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::page::{self, List, PageQuery};
use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::Result;
use crate::models::{EntryKind, LedgerEntry};

/// A ledger entry as its user sees it. It shows that an administrator made it, but not which one.
#[derive(Serialize)]
struct EntryView {
    id: i64,
    kind: &'static str,
    amount: i64,
    balance_after: i64,
    chat_id: Option<i64>,
    by: &'static str,
    note: String,
    created_at: String,
}

impl From<LedgerEntry> for EntryView {
    fn from(entry: LedgerEntry) -> Self {
        let by_operator = entry.actor_id.is_some() || entry.kind == EntryKind::Adjustment;
        EntryView {
            id: entry.id,
            kind: entry.kind.as_str(),
            amount: entry.amount,
            balance_after: entry.balance_after,
            chat_id: entry.chat_id,
            by: if by_operator { "operator" } else { "system" },
            note: entry.note,
            created_at: rfc3339(entry.created_at),
        }
    }
}

/// `GET /ledger/`: lists the user's ledger entries, newest first.
pub(super) async fn list(
    auth: web::Data<Auth>,
    current: CurrentUser,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::of(&request)?;
    let list = List { head: Vec::new(), name: "entries", path: "/ledger/".to_owned(), page };
    let write = move |rows| list.write::<_, EntryView>(rows, |entry: &LedgerEntry| entry.id);
    page::answer(&auth, &current, current.statement(&auth.db, page, write).await?)
}
