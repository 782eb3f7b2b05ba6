//! What to do next on a server that nobody has used yet.

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::{Chat, User};
use crate::panel::kit::paths;

/// A step, and the page where it is done.
pub(super) struct Step {
    pub label: &'static str,
    pub href: &'static str,
    /// What it is good for.
    pub why: &'static str,
}

/// Returns whether nobody has used the server yet: there are only administrators, and no chats.
pub(super) fn is_unused(conn: &mut DbConnection) -> Result<bool> {
    Ok(!Chat::is_any(conn)? && !User::any_customer(conn)?)
}

/// Returns the steps. Staff cannot take those that change something.
pub(super) fn steps(may_change: bool) -> Vec<Step> {
    let step = |label, href, why| Step { label, href, why };
    let mut steps = Vec::new();
    if may_change {
        steps.push(step("Add a user", paths::ADD_USER, "with an opening balance"));
        steps.push(step("Make an auth token", paths::ADD_AUTH_TOKEN, "so that a program can send messages"));
    }
    steps.push(step("Check the models and their prices", paths::MODELS, "before somebody pays them"));
    steps.push(step("Send the first message", paths::START, "with the commands on the start page"));
    steps.push(step("Choose your time zone", paths::SETTINGS, "so that days begin when yours do"));
    steps
}
