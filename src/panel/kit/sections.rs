//! The sections of the panel.

use super::paths;

/// A section of the panel: a label of the navigation, and where it leads.
pub struct Section {
    pub label: &'static str,
    pub path: &'static str,
}

/// The navigation, in its order.
pub const SECTIONS: [Section; 9] = [
    Section { label: "Home", path: paths::HOME },
    Section { label: "Users", path: paths::USERS },
    Section { label: "Chats", path: paths::CHATS },
    Section { label: "Holds", path: paths::HOLDS },
    Section { label: "Models", path: paths::MODELS },
    Section { label: "Auth tokens", path: paths::AUTH_TOKENS },
    Section { label: "Ledger", path: paths::LEDGER },
    Section { label: "Bulk operations", path: paths::BULK_OPERATIONS },
    Section { label: "History", path: paths::HISTORY },
];
