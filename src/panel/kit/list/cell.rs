//! What stands in a table's cell.

use chrono::NaiveDateTime;

use crate::models::Change;
use crate::panel::kit::paths;

/// A value with its meaning; the template gives it its look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Cell {
    Nothing,
    Text(String),
    /// A longer text, cut to a line.
    Excerpt(String),
    Link {
        text: String,
        href: String,
    },
    /// The cell that leads to the row's own page.
    Main {
        text: String,
        href: String,
    },
    Id(i64),
    Code(String),
    /// Tokens.
    Tokens(i64),
    /// Tokens that were given or taken.
    Signed(i64),
    Time(NaiveDateTime),
    /// Fields before and after.
    Changes(Vec<Change>),
    Badge {
        text: String,
        tone: Tone,
    },
}

/// The colour of a badge; its text says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        }
    }
}

impl Cell {
    pub(crate) fn time(time: Option<NaiveDateTime>) -> Cell {
        time.map_or(Cell::Nothing, Cell::Time)
    }

    /// A user's name, as a link to the user.
    pub(crate) fn user(id: i64, name: Option<&String>) -> Cell {
        let text = name.cloned().unwrap_or_else(|| format!("user {id}"));
        Cell::Link { text, href: paths::user(id) }
    }

    pub(crate) fn badge(text: impl Into<String>, tone: Tone) -> Cell {
        Cell::Badge { text: text.into(), tone }
    }

    pub(crate) fn changes(changes: Vec<Change>) -> Cell {
        if changes.is_empty() { Cell::Nothing } else { Cell::Changes(changes) }
    }

    pub(crate) fn code(text: &str) -> Cell {
        if text.is_empty() { Cell::Nothing } else { Cell::Code(text.to_owned()) }
    }

    /// The text without what would break a line; at most 120 characters of it.
    pub(crate) fn excerpt(text: &str) -> Cell {
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = words.char_indices().nth(120) {
            words.truncate(end);
            words.push('…');
        }
        if words.is_empty() { Cell::Nothing } else { Cell::Excerpt(words) }
    }
}
