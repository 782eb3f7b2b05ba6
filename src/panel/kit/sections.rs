//! The sections of the panel.

/// A section of the panel: a label of the navigation, and where it leads.
pub struct Section {
    pub label: &'static str,
    pub path: &'static str,
}

/// The navigation, in its order.
pub const SECTIONS: [Section; 9] = [
    Section { label: "Home", path: "/admin/" },
    Section { label: "Users", path: "/admin/users/" },
    Section { label: "Chats", path: "/admin/chats/" },
    Section { label: "Holds", path: "/admin/holds/" },
    Section { label: "Models", path: "/admin/models/" },
    Section { label: "Auth tokens", path: "/admin/auth-tokens/" },
    Section { label: "Ledger", path: "/admin/ledger/" },
    Section { label: "Bulk operations", path: "/admin/bulk-operations/" },
    Section { label: "History", path: "/admin/history/" },
];
