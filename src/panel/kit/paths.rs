//! The paths of the panel's pages, for links, redirects and the table of routes.

/// The start page of the site, which is not part of the panel.
pub(in crate::panel) const START: &str = "/";
/// The home page; every other path begins with it.
pub(in crate::panel) const HOME: &str = "/admin/";
/// The sign-in form. Guests are sent to it.
pub(in crate::panel) const SIGN_IN: &str = "/admin/sign-in/";
/// Ends the session. It accepts only POST.
pub(in crate::panel) const SIGN_OUT: &str = "/admin/sign-out/";
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
/// The backups.
pub(in crate::panel) const BACKUPS: &str = "/admin/backups/";
/// The list of audit entries.
pub(in crate::panel) const HISTORY: &str = "/admin/history/";

/// The form that adds a user.
pub(in crate::panel) const ADD_USER: &str = "/admin/users/add/";
/// The form that makes an auth token.
pub(in crate::panel) const ADD_AUTH_TOKEN: &str = "/admin/auth-tokens/add/";
/// Starts an action on many users. It accepts only POST.
pub(in crate::panel) const BULK_USERS: &str = "/admin/users/bulk/";
/// Starts an action on many chats. It accepts only POST.
pub(in crate::panel) const BULK_CHATS: &str = "/admin/chats/bulk/";
/// Starts an action on many holds. It accepts only POST.
pub(in crate::panel) const BULK_HOLDS: &str = "/admin/holds/bulk/";
/// Starts an action on many auth tokens. It accepts only POST.
pub(in crate::panel) const BULK_AUTH_TOKENS: &str = "/admin/auth-tokens/bulk/";

/// A user's page.
pub(in crate::panel) fn user(id: i64) -> String {
    format!("{USERS}{id}/")
}

/// The form that adjusts a user's balance.
pub(in crate::panel) fn adjust(id: i64) -> String {
    format!("{USERS}{id}/adjust/")
}

/// Undoes an adjustment of a user's balance, or a refund to it. It accepts only POST.
pub(in crate::panel) fn undo_entry(user_id: i64) -> String {
    format!("{USERS}{user_id}/undo/")
}

/// The form that deactivates a user.
pub(in crate::panel) fn deactivate(id: i64) -> String {
    format!("{USERS}{id}/deactivate/")
}

/// The form that reactivates a user.
pub(in crate::panel) fn reactivate(id: i64) -> String {
    format!("{USERS}{id}/reactivate/")
}

/// The form for a user's own limits.
pub(in crate::panel) fn limits(id: i64) -> String {
    format!("{USERS}{id}/limits/")
}

/// The form that edits a user.
pub(in crate::panel) fn edit_user(id: i64) -> String {
    format!("{USERS}{id}/edit/")
}

/// The form that sets a user's password.
pub(in crate::panel) fn set_password(id: i64) -> String {
    format!("{USERS}{id}/password/")
}

/// The page that asks before a user is logged out everywhere.
pub(in crate::panel) fn log_out(id: i64) -> String {
    format!("{USERS}{id}/log-out/")
}

/// The page that asks before a user is anonymised.
pub(in crate::panel) fn anonymise(id: i64) -> String {
    format!("{USERS}{id}/anonymise/")
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

/// The form that undoes a bulk operation.
pub(in crate::panel) fn undo_bulk_operation(id: i64) -> String {
    format!("{BULK_OPERATIONS}{id}/undo/")
}
