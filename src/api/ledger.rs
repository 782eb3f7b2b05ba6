//! `GET /ledger/`: one's own statement, with the running balance.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::page::{PageQuery, next_link};
use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::{Error, Result};
use crate::models::{EntryKind, LedgerEntry};

/// A ledger entry as its user sees it: who the administrator was is not shown, only that there was one.
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

#[derive(Serialize)]
struct Page {
    entries: Vec<EntryView>,
    next: Option<String>,
}

pub(super) async fn list(
    auth: web::Data<Auth>,
    current: CurrentUser,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::parse(request.query_string()).map_err(Error::Invalid)?;
    let entries = auth.ledger(&current, page).await?;
    let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
    let entries = entries.into_iter().map(EntryView::from).collect();
    Ok(HttpResponse::Ok().json(Page { entries, next: next_link("/ledger/", page, &ids) }))
}
