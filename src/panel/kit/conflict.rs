//! Fields that somebody else changed while they were edited.

/// A field whose stored value is no longer the one that was edited.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Conflict {
    pub field: &'static str,
    /// Its value now.
    pub stored: String,
    /// What the administrator entered.
    pub sent: String,
}

impl Conflict {
    pub fn new(field: &'static str, stored: impl Into<String>, sent: impl Into<String>) -> Conflict {
        Conflict { field, stored: stored.into(), sent: sent.into() }
    }

    pub fn differs(&self) -> bool {
        self.stored != self.sent
    }
}
