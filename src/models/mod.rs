//! One file for each table: the row, what is inserted, and its queries as associated functions. The
//! connection is their first argument, and the caller owns the transaction. Nothing here changes a
//! balance: only `metering` does.

mod audit_entry;
mod auth_token;
mod backup_run;
mod bulk_operation;
mod bulk_undo;
mod chat;
mod chat_cut;
mod chat_timing;
mod conversation;
mod database_identity;
mod editable;
mod embedding_answer;
mod follower;
mod idempotency_key;
mod import_map;
mod imported;
mod ledger_entry;
pub mod list;
mod model;
mod moments;
mod oldest;
mod open_work;
mod overview;
mod panel_columns;
mod panel_settings;
mod response;
mod saved_view;
mod session;
mod text;
mod user;
mod user_activity;
mod user_rows;
mod verification;

pub use audit_entry::{ATTEMPTS, AuditEntry, Change, NewAuditEntry};
pub use auth_token::{AuthToken, AuthTokenChanges, NewAuthToken};
pub use backup_run::{BackupRun, NewBackupRun};
pub use bulk_operation::{BulkFailure, BulkOperation, NAME_GONE, NewBulkOperation};
pub use bulk_undo::{BulkUndo, FormerLimits};
pub use chat::{Chat, ChatState, FailuresByReason, OpenHolds};
pub use chat_cut::{MOST_READ, TextSizes};
pub use chat_timing::ChatTiming;
pub use conversation::{Conversation, MOST_CONVERSATIONS};
pub use database_identity::DatabaseIdentity;
pub use editable::{Editable, EditableField, FieldValue};
pub use embedding_answer::EmbeddingAnswer;
pub use follower::{IndexChange, PeriodTotals, QuarterTotal, ToFollow, UserBalance, Watermark};
pub use idempotency_key::StoredKey;
pub use import_map::{ImportMap, ImportedKind};
pub use imported::{ImportedAuthToken, ImportedChat};
pub use ledger_entry::{EntryAmount, EntryKind, LedgerEntry};
pub use model::{AnswerLimits, DEFAULT_IMAGE_TOKENS, Model, ModelChanges};
pub use moments::{first_id_since, ids_between};
pub use open_work::{MOST as MOST_OPEN_WORK, OpenWork};
pub use overview::Spent;
pub use panel_columns::{ColumnChoices, PanelColumns};
pub use panel_settings::PanelSettings;
pub use response::{Link, ResponseTexts, StoredResponse};
pub use saved_view::{MOST_VIEWS, NewSavedView, SavedView};
pub use session::{NewSession, Session};
pub use user::{Payer, User, UserChanges, UserLimits};
pub use user_activity::UserActivity;
pub use user_rows::{MOST_BEHIND, UserRows};
pub use verification::Verification;

/// The approximate size of a page of a list, in bytes.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// The rows of a page.
#[derive(Clone, Debug)]
pub struct Rows<R> {
    /// The rows, the newest first.
    pub rows: Vec<R>,
    /// Whether there may be more rows on the next page.
    pub has_more: bool,
}

impl Keyset {
    /// Makes the page from its rows. There may be more rows if the page is full.
    pub fn rows<R>(self, rows: Vec<R>) -> Rows<R> {
        let has_more = i64::try_from(rows.len()).is_ok_and(|count| count >= self.limit);
        Rows { rows, has_more }
    }
}

/// A page of a list that shows the newest first: at most `limit` rows with an id below `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyset {
    /// The most rows of the page.
    pub limit: i64,
    /// Only ids below this. `None` for the first page.
    pub before: Option<i64>,
}
