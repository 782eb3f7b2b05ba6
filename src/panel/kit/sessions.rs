//! The table of sessions, on the pages of users and on the settings page.

use super::list::Cell;
use super::table::{Table, TableHead};
use crate::models::Session;

/// Returns a table of sessions. The session with the id `own` is marked.
pub(in crate::panel) fn sessions_table(sessions: &[Session], own: i64) -> Table {
    let row = |session: &Session| {
        let this = if session.id == own { " (this one)" } else { "" };
        let browser = match session.user_agent.trim() {
            "" => Cell::Text(format!("unnamed{this}")),
            name => Cell::Text(format!("{name}{this}")),
        };
        vec![
            browser,
            Cell::code(&session.address),
            Cell::Time(session.created_at),
            Cell::Time(session.last_used_at),
            Cell::Time(session.expires_at),
        ]
    };
    Table {
        heads: vec![
            TableHead::text("Browser"),
            TableHead::text("From"),
            TableHead::text("Signed in"),
            TableHead::text("Last used"),
            TableHead::text("Ends"),
        ],
        rows: sessions.iter().map(row).collect(),
        empty: "Nobody is signed in to the panel with this account.",
    }
}
