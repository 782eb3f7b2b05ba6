//! The paths of the panel's pages, for links, redirects and the table of routes.

/// The home page; every other path begins with it.
pub(in crate::panel) const HOME: &str = "/admin/";
/// The sign-in form. Guests are sent to it.
pub(in crate::panel) const SIGN_IN: &str = "/admin/sign-in/";
/// The results of the search box at the top.
pub(in crate::panel) const SEARCH: &str = "/admin/search/";
/// The administrator's own settings and sessions.
pub(in crate::panel) const SETTINGS: &str = "/admin/settings/";
/// The form in which administrators change their own password.
pub(in crate::panel) const PASSWORD: &str = "/admin/password/";

/// The list of users.
pub(in crate::panel) const USERS: &str = "/admin/users/";
/// The list of chats.
pub(in crate::panel) const CHATS: &str = "/admin/chats/";
/// The list of holds.
pub(in crate::panel) const HOLDS: &str = "/admin/holds/";
/// The table of models.
pub(in crate::panel) const MODELS: &str = "/admin/models/";
/// The list of auth tokens.
pub(in crate::panel) const AUTH_TOKENS: &str = "/admin/auth-tokens/";
/// The list of ledger entries.
pub(in crate::panel) const LEDGER: &str = "/admin/ledger/";
/// The list of bulk operations.
pub(in crate::panel) const BULK_OPERATIONS: &str = "/admin/bulk-operations/";
/// The list of audit entries.
pub(in crate::panel) const HISTORY: &str = "/admin/history/";

/// The form that adds a user.
pub(in crate::panel) const ADD_USER: &str = "/admin/users/add/";
/// The form that makes an auth token.
pub(in crate::panel) const ADD_AUTH_TOKEN: &str = "/admin/auth-tokens/add/";
/// Starts an adjustment of many balances. It accepts only POST.
pub(in crate::panel) const ADJUST_USERS: &str = "/admin/users/bulk-adjust/";
/// Starts the revocation of many auth tokens. It accepts only POST.
pub(in crate::panel) const REVOKE_AUTH_TOKENS: &str = "/admin/auth-tokens/bulk-revoke/";

/// A user's page.
pub(in crate::panel) fn user(id: i64) -> String {
    format!("{USERS}{id}/")
}

/// The form that edits a user.
pub(in crate::panel) fn edit_user(id: i64) -> String {
    format!("{USERS}{id}/edit/")
}

/// A chat's page.
pub(in crate::panel) fn chat(id: i64) -> String {
    format!("{CHATS}{id}/")
}

/// The form that releases the hold of a chat.
pub(in crate::panel) fn release(chat_id: i64) -> String {
    format!("{CHATS}{chat_id}/release/")
}

/// A model's page.
pub(in crate::panel) fn model(id: i64) -> String {
    format!("{MODELS}{id}/")
}

/// An auth token's page.
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

/// A bulk operation's page.
pub(in crate::panel) fn bulk_operation(id: i64) -> String {
    format!("{BULK_OPERATIONS}{id}/")
}
