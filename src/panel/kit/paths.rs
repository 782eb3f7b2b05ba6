//! The paths of the panel's pages, for links, redirects and the table of routes.

/// The home page; every other path begins with it.
pub(in crate::panel) const HOME: &str = "/admin/";
pub(in crate::panel) const SIGN_IN: &str = "/admin/sign-in/";
pub(in crate::panel) const SEARCH: &str = "/admin/search/";
pub(in crate::panel) const SETTINGS: &str = "/admin/settings/";
/// The form in which administrators change their own password.
pub(in crate::panel) const PASSWORD: &str = "/admin/password/";

// The lists.
pub(in crate::panel) const USERS: &str = "/admin/users/";
pub(in crate::panel) const CHATS: &str = "/admin/chats/";
pub(in crate::panel) const HOLDS: &str = "/admin/holds/";
pub(in crate::panel) const MODELS: &str = "/admin/models/";
pub(in crate::panel) const AUTH_TOKENS: &str = "/admin/auth-tokens/";
pub(in crate::panel) const LEDGER: &str = "/admin/ledger/";
pub(in crate::panel) const BULK_OPERATIONS: &str = "/admin/bulk-operations/";
pub(in crate::panel) const HISTORY: &str = "/admin/history/";

// Forms for the rows of lists.
pub(in crate::panel) const ADD_USER: &str = "/admin/users/add/";
pub(in crate::panel) const ADJUST_USERS: &str = "/admin/users/bulk-adjust/";
pub(in crate::panel) const REVOKE_AUTH_TOKENS: &str = "/admin/auth-tokens/bulk-revoke/";

pub(in crate::panel) fn user(id: i64) -> String {
    format!("{USERS}{id}/")
}

pub(in crate::panel) fn edit_user(id: i64) -> String {
    format!("{USERS}{id}/edit/")
}

pub(in crate::panel) fn chat(id: i64) -> String {
    format!("{CHATS}{id}/")
}

/// The form that releases the hold of a chat.
pub(in crate::panel) fn release(chat_id: i64) -> String {
    format!("{CHATS}{chat_id}/release/")
}

pub(in crate::panel) fn model(id: i64) -> String {
    format!("{MODELS}{id}/")
}

pub(in crate::panel) fn auth_token(id: i64) -> String {
    format!("{AUTH_TOKENS}{id}/")
}

/// The form that revokes an auth token.
pub(in crate::panel) fn revoke(token_id: i64) -> String {
    format!("{AUTH_TOKENS}{token_id}/revoke/")
}

/// The ledger entries of one user.
pub(in crate::panel) fn statement(user_id: i64) -> String {
    format!("{LEDGER}?user=%23{user_id}")
}

pub(in crate::panel) fn bulk_operation(id: i64) -> String {
    format!("{BULK_OPERATIONS}{id}/")
}
