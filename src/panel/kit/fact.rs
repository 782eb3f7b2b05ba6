//! A labelled value of a page about one thing.

use super::list::Cell;

/// What is known of a thing: a label and a value.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Fact {
    pub label: &'static str,
    pub cell: Cell,
}

impl Fact {
    pub(crate) fn new(label: &'static str, cell: Cell) -> Fact {
        Fact { label, cell }
    }
}
