//! Short tables on pages that are not lists.

use super::list::{At, Cell};

/// A table without sorting, filters or pages.
pub(in crate::panel) struct Table {
    pub heads: Vec<TableHead>,
    pub rows: Vec<Vec<Cell>>,
    /// The text that is shown if there are no rows.
    pub empty: &'static str,
}

/// The head of a column.
pub(in crate::panel) struct TableHead {
    pub label: &'static str,
    pub is_number: bool,
    /// Where a phone shows the column.
    pub at: At,
}

impl TableHead {
    /// The head of a column of texts.
    pub(crate) fn text(label: &'static str) -> TableHead {
        TableHead { label, is_number: false, at: At::Nowhere }
    }

    /// The head of a column of numbers.
    pub(crate) fn number(label: &'static str) -> TableHead {
        TableHead { label, is_number: true, at: At::Nowhere }
    }

    /// Sets where a phone shows the column.
    pub(crate) fn at(self, at: At) -> TableHead {
        TableHead { at, ..self }
    }
}

impl Table {
    /// Returns the label of a column, by its position.
    pub(crate) fn label(&self, place: &usize) -> &'static str {
        self.heads.get(*place).map_or("", |head| head.label)
    }

    /// Whether a phone shows each row in two lines. Otherwise it shows a label at each cell.
    pub(crate) fn has_two_lines(&self) -> bool {
        self.heads.iter().any(|head| head.at == At::Lead)
    }

    /// Returns the CSS class of the place of a column on a phone, by its position.
    pub(crate) fn at(&self, place: &usize) -> &'static str {
        self.heads.get(*place).map_or("", |head| head.at.class())
    }

    /// Whether a column, by its position, has numbers.
    pub(crate) fn is_number(&self, place: &usize) -> bool {
        self.heads.get(*place).is_some_and(|head| head.is_number)
    }
}

/// A table whose rows are one line each, and two on a phone.
pub(in crate::panel) struct ShortTable {
    pub heads: Vec<ShortHead>,
    /// Each row has as many cells as there are heads.
    pub rows: Vec<Vec<Cell>>,
    /// The text that is shown if there are no rows.
    pub empty: &'static str,
}

/// The head of a column of a [`ShortTable`].
pub(in crate::panel) struct ShortHead {
    pub label: &'static str,
    /// CSS classes: `grow` for the column that takes the room that is left, `cap` for names, whose
    /// width has a limit, `number`, and `first` for the number that a phone shows in the first
    /// line. Only `grow` and `cap` are ever cut.
    pub class: &'static str,
}

/// A column of a [`ShortTable`].
pub(in crate::panel) fn column(label: &'static str, class: &'static str) -> ShortHead {
    ShortHead { label, class }
}

impl ShortTable {
    /// Returns the label of a column, by its position.
    pub(crate) fn label(&self, place: &usize) -> &'static str {
        self.heads.get(*place).map_or("", |head| head.label)
    }

    /// Returns the classes of a column, by its position.
    pub(crate) fn class(&self, place: &usize) -> &'static str {
        self.heads.get(*place).map_or("", |head| head.class)
    }
}
