//! An administrator's preferences for lists.

use super::zone::Zone;

/// How an administrator wants to see lists.
#[derive(Clone, Copy, Debug)]
pub(in crate::panel) struct Preferences {
    pub zone: Zone,
    /// The number of rows on a page.
    pub page_size: i64,
}
