//! Records failed sign-ins to the panel in the audit log. Repeated failures of one name from one
//! address are counted in one entry, and the number of entries is bounded, so that guessing cannot
//! fill the table.
//!
//! People type passwords into the wrong field. So of a name that no user has, only the first few
//! characters are recorded.

use std::net::IpAddr;
use std::time::Duration;

use chrono::TimeDelta;

use super::Auth;
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::clock;
use crate::db::{DbConnection, Scope};
use crate::error::Result;
use crate::models::{ATTEMPTS, AuditEntry, Change};

/// How long failures are counted in the same entry.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// The most entries in this time. The last one counts all further failures.
const MOST: usize = 25;
/// The most characters that are recorded of a name that no user has.
const MOST_CHARACTERS: usize = 3;
/// How long the response waits for the entry.
const PATIENCE: Duration = Duration::from_secs(1);

/// The field with the beginning of the name.
const NAME: &str = "name";

/// The note on the entry that counts the failures beyond [`MOST`].
const OTHERS: &str = "further names and addresses, counted together";

/// A failed sign-in.
#[derive(Clone)]
struct Failure {
    /// The user of this name, if there is one.
    user_id: Option<i64>,
    /// The beginning of a name that no user has. Empty for a user.
    name: String,
    address: String,
}

impl Auth {
    /// Records that somebody could not sign in. It does the same work whether or not there is a
    /// user of this name. An entry that cannot be written is only missed.
    pub(super) async fn record_failed_sign_in(&self, from: IpAddr, name: &str, user_id: Option<i64>) {
        let name = if user_id.is_some() { String::new() } else { beginning_of(name) };
        let failure = Failure { user_id, name, address: from.to_string() };
        let job = move |conn: &mut DbConnection| record(conn, &failure);
        let recorded = tokio::time::timeout(PATIENCE, self.db.write(Scope::none(), job)).await;
        if !matches!(recorded, Ok(Ok(()))) {
            log::warn!("a failed sign-in could not be recorded");
        }
    }
}

/// Returns the first characters of a name: at most three, and at most a quarter of it.
fn beginning_of(name: &str) -> String {
    let name = name.trim();
    let length = (name.chars().count() / 4).min(MOST_CHARACTERS);
    let shown: String =
        name.chars().take(length).map(|c| if c.is_alphanumeric() { c } else { '?' }).collect();
    format!("{shown}…")
}

/// Counts a failure in an entry of the last minutes, or adds an entry.
fn record(conn: &mut DbConnection, failure: &Failure) -> Result<()> {
    let now = clock::now();
    let latest = AuditEntry::latest_of_action(conn, Action::FailSignIn.code(), MOST as i64)?;
    let recent: Vec<AuditEntry> =
        latest.into_iter().filter(|entry| entry.created_at > now - WINDOW).collect();
    let own = recent.iter().find(|entry| entry.note.is_empty() && failure.is_counted_in(entry));
    let others = || recent.iter().find(|entry| entry.note == OTHERS);
    match own.or_else(others) {
        Some(entry) => {
            let mut changes = entry.changes();
            for change in changes.iter_mut().filter(|change| change.field == ATTEMPTS) {
                change.after = (change.after.parse::<i64>().unwrap_or(0) + 1).to_string();
            }
            AuditEntry::set_changes(conn, entry.id, &changes)?;
        }
        None if recent.len() + 1 >= MOST => {
            let everybody = Failure { user_id: None, name: String::new(), address: String::new() };
            everybody.add(conn, OTHERS, now)?;
        }
        None => failure.add(conn, "", now)?,
    }
    Ok(())
}

impl Failure {
    fn is_counted_in(&self, entry: &AuditEntry) -> bool {
        let changes = entry.changes();
        let name =
            changes.iter().find(|change| change.field == NAME).map_or("", |change| change.after.as_str());
        entry.user_id == self.user_id && entry.address == self.address && name == self.name
    }

    fn add(&self, conn: &mut DbConnection, note: &str, now: chrono::NaiveDateTime) -> Result<()> {
        let mut changes = vec![Change::new(ATTEMPTS, "", 1)];
        if !self.name.is_empty() {
            changes.insert(0, Change::new(NAME, "", &self.name));
        }
        let event = Event {
            action: Action::FailSignIn,
            kind: ObjectKind::User,
            id: self.user_id.unwrap_or(0),
            user_id: self.user_id,
            changes: &changes,
            note,
        };
        let actor = Actor { user_id: None, address: self.address.clone() };
        Ok(actor.record(conn, &event, now)?)
    }
}

#[cfg(test)]
mod tests {
    use super::beginning_of;

    #[test]
    fn a_name_that_may_be_a_password_is_not_recorded() {
        let shown = ["", "abc", "abcd", "a-bcdefg", "correct horse battery", "\u{202e}\n<b>longer"];
        assert_eq!(shown.map(beginning_of), ["…", "…", "a…", "a?…", "cor…", "??…"]);
    }
}
