//! Bulk operations: selecting the rows, previewing and confirming, watching the progress, and
//! undoing.

pub(super) mod auth_tokens;
pub(super) mod chats;
mod form;
pub(super) mod holds;
mod list;
mod preview;
mod reasons;
mod selection;
mod show;
mod undo;
pub(super) mod users;

pub(super) use form::{selected, start};
pub(super) use list::list;
pub(super) use show::show;
pub(super) use undo::{show_undo, undo};
