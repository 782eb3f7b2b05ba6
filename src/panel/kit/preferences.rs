//! How an administrator wants lists to look.

use super::zone::Zone;

/// How an administrator wants to see lists.
#[derive(Clone, Copy, Debug)]
pub(in crate::panel) struct Preferences {
    pub zone: Zone,
    pub page_size: i64,
}
