//! Decides what happens to each row of the source, before anything is written.

use std::collections::HashMap;

use chrono::NaiveDateTime;

use super::found::{Found, FoundChat};
use super::here::{Here, imported};
use super::layout::Layout;
use super::report::{Report, Topic};
use super::source::Source;
use super::tokens::{PlannedToken, plan_tokens};
use super::users::{PlannedUser, UserPlan, user_of};
use super::values::SourceKey;
use super::{ImportError, ImportOptions};
use crate::clock;
use crate::db::Db;

/// A chat that the import adds.
#[derive(Clone, Debug)]
pub(super) struct PlannedChat {
    pub key: SourceKey,
    pub user: SourceKey,
    pub at: NaiveDateTime,
    /// The bytes of its texts.
    pub bytes: u64,
}

/// What an import adds, each in the order in which it is added.
pub(super) struct Plan {
    pub users: Vec<PlannedUser>,
    pub tokens: Vec<PlannedToken>,
    pub chats: Vec<PlannedChat>,
    pub report: Report,
    /// Whether this is a first run, and the database here has users or chats already.
    pub is_first_into_used: bool,
}

impl Plan {
    pub(super) fn make(
        db: Option<&Db>,
        source: &mut Source,
        layout: &Layout,
        options: &ImportOptions,
    ) -> Result<Plan, ImportError> {
        let found = Found::read(source, layout, options.time_zone)?;
        let here = db.map_or_else(|| Ok(Here::default()), |db| Here::read(db, &options.source))?;
        let ids: Vec<i64> = here.users.values().copied().collect();
        let before = db.map_or_else(|| Ok(HashMap::new()), |db| imported(db, &ids))?;

        let tables = layout.fits().cloned().collect();
        let mut report = Report::new(options.from.to_string(), options.source.clone(), tables);
        let mut users = UserPlan::new(&here, &before, options);
        users.decide(&found, clock::now(), &mut report)?;
        let tokens = plan_tokens(&found.tokens, &here, &users.owners, &mut report);
        let is_owned = |chat: &FoundChat| users.owners.contains(&user_of(&chat.user));
        let chats = plan_chats(found.chats, &here, is_owned, &mut report);
        report.sort();
        let is_first_into_used = here.is_first_run() && here.is_used;
        Ok(Plan { users: users.new, tokens, chats, report, is_first_into_used })
    }
}

/// Decides about all chats. Returns those that are added, the oldest first.
fn plan_chats(
    mut found: Vec<FoundChat>,
    here: &Here,
    is_owned: impl Fn(&FoundChat) -> bool,
    report: &mut Report,
) -> Vec<PlannedChat> {
    found.sort_by(|one, other| one.key.cmp(&other.key));
    report.chats.found = found.len();
    // Chats that are older than all that have a time get the first one.
    let first = found.iter().find_map(|chat| chat.at).unwrap_or_else(clock::now);
    let (mut planned, mut before) = (Vec::new(), first);
    for chat in found {
        let at = chat.at.unwrap_or(before);
        before = at;
        let shown = || format!("chat {} of user {}", chat.key, chat.user);
        if here.chats.contains(&chat.key) {
            report.chats.imported_before += 1;
            continue;
        }
        if !is_owned(&chat) {
            report.chats.not_imported += 1;
            report.note(Topic::ChatWithoutUser, shown);
            continue;
        }
        report.chats.new += 1;
        if chat.at.is_none() {
            report.note(Topic::NoTime, shown);
        }
        if !chat.has_message {
            report.note(Topic::EmptyMessage, shown);
        }
        if here.last_chat.is_some_and(|last| at < last) {
            report.note(Topic::LateChat, shown);
        }
        planned.push(PlannedChat { key: chat.key, user: chat.user, at, bytes: chat.bytes });
    }
    planned.sort_by_key(|chat| chat.at);
    planned
}
