//! `GET /ledger/`: the user's own statement, with the running balance.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::page::{self, List, PageQuery};
use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::Result;
use crate::http::operation::{Operation, Tag};
use crate::models::{EntryKind, LedgerEntry};

/// A ledger entry as its user sees it. It shows that an administrator made it, but not which one.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
struct EntryView {
    /// The id. Later entries have higher ones.
    id: i64,
    /// Why the balance changed.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// The tokens that were added, or, below 0, taken.
    amount: i64,
    /// The balance afterwards.
    #[schema(minimum = 0)]
    balance_after: i64,
    /// The chat that it is for. `null` if it is for none.
    #[schema(required)]
    chat_id: Option<i64>,
    /// Who caused it.
    #[schema(schema_with = causes)]
    by: &'static str,
    /// What the operator says about it. Often empty.
    note: String,
    /// When it was made (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
}

fn kinds() -> Object {
    page::words("Why the balance changed.", &EntryKind::ALL.map(EntryKind::as_str))
}

fn causes() -> Object {
    page::words("Who caused it.", &["operator", "system"])
}

/// Describes `GET /ledger/`.
pub(super) fn describe_list() -> Operation {
    let entry = json!({
        "id": 12, "kind": "charge", "amount": -100, "balance_after": 3900, "chat_id": 5, "by": "system",
        "note": "", "created_at": "2026-12-02T08:00:00.000000Z",
    });
    let operation = Operation::of(list)
        .titled(Tag::Chats, "See your statement")
        .about("Every change of your balance, newest first, with the balance after it.");
    page::described::<EntryView>(operation, "entries", None, json!({ "entries": [entry], "next": null }))
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
