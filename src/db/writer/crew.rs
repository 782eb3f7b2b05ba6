//! The state that the writers of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fence::Fence;
use super::late::Late;
use super::measures::WriterMeasures;

/// The most threads of one node that may hang at once. If there are more, the database itself
/// hangs, and more connections would not help.
const MOST_ABANDONED: usize = 8;

/// The state that all writers of a node share.
#[derive(Clone, Default)]
pub(super) struct Crew {
    /// The slow lane. `None` for writers that wait for locks: SQLite's, and the one for bulk work.
    pub late: Option<Arc<Late>>,
    /// The number of threads that hang.
    pub abandoned: Arc<AtomicUsize>,
    /// Connections to end before anything is looked up.
    pub fence: Arc<Fence>,
    /// What all writers have done.
    pub measures: Arc<WriterMeasures>,
}

impl Crew {
    /// Returns whether the most threads hang, so that no other may take over.
    pub(super) fn is_exhausted(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) >= MOST_ABANDONED
    }
}
