//! What is left out of the tables, one part at a time.

use crate::chats::{Form, Times};

/// The tables without one part, or a batch in another form.
pub struct Variant {
    /// What is left out or changed.
    pub name: &'static str,
    /// Statements that leave it out.
    pub change: &'static str,
    /// Settings of the connection.
    pub settings: &'static str,
    pub form: Form,
    pub times: Times,
}

const NOTHING: Variant =
    Variant { name: "nothing", change: "", settings: "", form: Form::Sets, times: Times::Text };

/// Without two indexes, which a separate file can have.
const NO_USER_INDEXES: &str = "DROP INDEX chats_by_user; DROP INDEX ledger_entries_by_user;";

/// The first has all parts, and each other one changes one thing. The server has what is left
/// without `both`.
pub const VARIANTS: &[&Variant] = &[
    &NOTHING,
    &Variant { name: "sets: four statements for each chat", form: Form::Each, ..NOTHING },
    &Variant { name: "`chats (user_id, id)`", change: "DROP INDEX chats_by_user;", ..NOTHING },
    &Variant {
        name: "`ledger_entries (user_id, id)`",
        change: "DROP INDEX ledger_entries_by_user;",
        ..NOTHING
    },
    &Variant { name: "both", change: NO_USER_INDEXES, ..NOTHING },
    &Variant { name: "both, and sets", change: NO_USER_INDEXES, form: Form::Each, ..NOTHING },
    &Variant {
        name: "`ledger_entries (chat_id, kind)`, unique",
        change: "DROP INDEX ledger_entries_once_per_chat;",
        ..NOTHING
    },
    &Variant {
        name: "`ledger_entries (operation_id)`, unique",
        // An index that belongs to a column cannot be dropped.
        change: "PRAGMA writable_schema = ON;
                 UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL UNIQUE CHECK', 'NOT NULL CHECK')
                 WHERE name = 'ledger_entries';
                 DELETE FROM sqlite_master WHERE name = 'sqlite_autoindex_ledger_entries_1';
                 PRAGMA writable_schema = RESET;",
        ..NOTHING
    },
    &Variant {
        name: "the triggers of the ledger",
        change: "DROP TRIGGER ledger_entries_refuse_update; DROP TRIGGER ledger_entries_refuse_delete;
                 DROP TRIGGER ledger_entries_within_charge;",
        ..NOTHING
    },
    &Variant { name: "foreign keys", settings: "PRAGMA foreign_keys = OFF", ..NOTHING },
    &Variant { name: "CHECK constraints", settings: "PRAGMA ignore_check_constraints = ON", ..NOTHING },
    &Variant { name: "times as text: as numbers", times: Times::Numbers, ..NOTHING },
    &Variant { name: "a cache of 8 MB: 2 MB", settings: "PRAGMA cache_size = -2000", ..NOTHING },
    &Variant { name: "a cache of 8 MB: 64 MB", settings: "PRAGMA cache_size = -64000", ..NOTHING },
    &Variant {
        name: "temporary data in memory: in files",
        settings: "PRAGMA temp_store = DEFAULT",
        ..NOTHING
    },
];
