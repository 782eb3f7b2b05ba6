//! Labelled values, on pages about one thing.

use super::list::Cell;

/// A label and a value.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Fact {
    pub label: &'static str,
    pub cell: Cell,
}

impl Fact {
    /// A value with its label.
    pub(crate) fn new(label: &'static str, cell: Cell) -> Fact {
        Fact { label, cell }
    }
}
