//! The contents of a table's cell.

use chrono::{Datelike, NaiveDateTime};

use crate::clock;
use crate::models::Change;
use crate::panel::kit::{format, paths};

/// A text up to this length fits each column, so it needs no title.
const SHORT: usize = 12;

/// A value with its meaning. `templates/admin/pieces.html` decides how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Cell {
    /// No value. It is shown as a dash.
    Nothing,
    Text(String),
    /// The beginning of a longer text, on one line.
    Excerpt(String),
    Link {
        text: String,
        href: String,
    },
    /// The link to the row's own page.
    Main {
        text: String,
        href: String,
    },
    /// The link to the row's own page, with a badge that warns.
    Marked {
        text: String,
        href: String,
        mark: String,
    },
    /// An id, with a button that copies it.
    Id(i64),
    Code(String),
    /// A number, such as a number of tokens.
    Tokens(i64),
    /// A change of a balance in tokens, with its sign.
    Signed(i64),
    /// A time in UTC, shown in the administrator's time zone.
    Time(NaiveDateTime),
    /// Changed fields, each before and after.
    Changes(Vec<Change>),
    Badge {
        text: String,
        tone: Tone,
    },
}

/// The colour of a badge. It says nothing that the text does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Tone {
    /// Returns the CSS class.
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
    /// A time, or nothing.
    pub(crate) fn time(time: Option<NaiveDateTime>) -> Cell {
        time.map_or(Cell::Nothing, Cell::Time)
    }

    /// A link to a user. Without a name its text is `user` and the id.
    pub(crate) fn user(id: i64, name: Option<&String>) -> Cell {
        let text = name.cloned().unwrap_or_else(|| format!("user {id}"));
        Cell::Link { text, href: paths::user(id) }
    }

    /// A short text on a coloured ground.
    pub(crate) fn badge(text: impl Into<String>, tone: Tone) -> Cell {
        Cell::Badge { text: text.into(), tone }
    }

    /// Changed fields, or nothing if there are none.
    pub(crate) fn changes(changes: Vec<Change>) -> Cell {
        if changes.is_empty() { Cell::Nothing } else { Cell::Changes(changes) }
    }

    /// A text in a fixed-width font, or nothing if it is empty.
    pub(crate) fn code(text: &str) -> Cell {
        if text.is_empty() { Cell::Nothing } else { Cell::Code(text.to_owned()) }
    }

    /// The text of a cell in one line that may be too long for its column.
    pub(crate) fn title(&self) -> Option<&str> {
        let text = match self {
            Cell::Text(text) | Cell::Excerpt(text) | Cell::Code(text) => text,
            Cell::Link { text, .. } | Cell::Main { text, .. } | Cell::Marked { text, .. } => text,
            _ => return None,
        };
        (text.chars().nth(SHORT).is_some()).then_some(text)
    }

    /// Returns the number of characters of a number, a word or a time, and 0 for other cells.
    pub(crate) fn length(&self) -> usize {
        match self {
            Cell::Tokens(amount) => format::tokens(*amount).chars().count(),
            Cell::Signed(amount) => format::signed(*amount).chars().count(),
            Cell::Text(text) => text.chars().count(),
            Cell::Id(id) => id.to_string().len() + 3,
            Cell::Badge { text, .. } => text.chars().count(),
            Cell::Code(text) => text.chars().count(),
            // With a year: 25 Feb 2027.
            Cell::Time(time) if time.year() != clock::now().year() => 11,
            _ => 0,
        }
    }

    /// The first 200 characters of a text on one line, or nothing if it is blank.
    pub(crate) fn excerpt(text: &str) -> Cell {
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = words.char_indices().nth(200) {
            words.truncate(end);
            words.push('…');
        }
        if words.is_empty() { Cell::Nothing } else { Cell::Excerpt(words) }
    }
}
