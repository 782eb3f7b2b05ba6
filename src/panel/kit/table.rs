//! Short tables on pages that are not lists. Rows of a list get the list's own columns.

use super::list::{Cell, List};

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
}

impl TableHead {
    /// The head of a column of texts.
    pub(crate) fn text(label: &'static str) -> TableHead {
        TableHead { label, is_number: false }
    }
}

impl Table {
    /// A table of rows of a list. `without` has the labels of columns to leave out, which would say
    /// on every row what the page is about.
    pub(crate) fn of<R>(list: &List<R>, rows: &[R], without: &[&str], empty: &'static str) -> Table {
        let columns: Vec<_> = list.columns.iter().filter(|column| !without.contains(&column.label)).collect();
        Table {
            heads: columns
                .iter()
                .map(|column| TableHead { label: column.label, is_number: column.is_number })
                .collect(),
            rows: rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row)).collect()).collect(),
            empty,
        }
    }

    /// Adds a column of texts.
    pub(crate) fn and(mut self, head: &'static str, cells: impl Iterator<Item = Cell>) -> Table {
        self.heads.push(TableHead::text(head));
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            row.push(cell);
        }
        self
    }

    /// Returns the label of a column, by its position.
    pub(crate) fn label(&self, place: &usize) -> &'static str {
        self.heads.get(*place).map_or("", |head| head.label)
    }

    /// Whether a column, by its position, has numbers.
    pub(crate) fn is_number(&self, place: &usize) -> bool {
        self.heads.get(*place).is_some_and(|head| head.is_number)
    }
}
