//! Decides what happens to each user of the source.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;

use super::balances::{NegativeBalances, Opening, opening};
use super::found::{Found, FoundUser, Owner};
use super::here::{Here, Imported};
use super::names::{Rename, is_unusual, unusable};
use super::report::{Report, Topic};
use super::role::Role;
use super::values::SourceKey;
use super::{ImportError, ImportOptions};
use crate::domain::{canonical_of, skeleton_of};
use crate::models::ImportedKind;

/// A user whom the import adds.
#[derive(Clone, Debug)]
pub(super) struct PlannedUser {
    pub owner: Owner,
    /// The name here.
    pub name: String,
    pub tokens: i64,
    /// The note of the opening entry.
    pub note: String,
    pub joined: NaiveDateTime,
}

/// Decides about users in the order in which they joined.
pub(super) struct UserPlan<'a> {
    here: &'a Here,
    renames: &'a [Rename],
    negative: NegativeBalances,
    /// Users who were imported before, by their ids here.
    imported: &'a HashMap<i64, Imported>,
    /// The owners of the canonical names that are taken by now. `None`: a user who was here.
    names: HashMap<String, Option<String>>,
    /// The first of the names that look alike, by what they look like.
    looks: HashMap<String, String>,
    renamed: HashSet<usize>,
    /// The users that are added, the first who joined first.
    pub new: Vec<PlannedUser>,
    /// The users who own rows here after the import.
    pub owners: HashSet<Owner>,
    /// How many of those who were imported before are still the same.
    pub same: usize,
}

impl<'a> UserPlan<'a> {
    pub(super) fn new(
        here: &'a Here,
        imported: &'a HashMap<i64, Imported>,
        options: &'a ImportOptions,
    ) -> UserPlan<'a> {
        UserPlan {
            here,
            renames: &options.renames,
            negative: options.negative_balances,
            imported,
            names: here.names.keys().map(|name| (name.clone(), None)).collect(),
            looks: HashMap::new(),
            renamed: HashSet::new(),
            new: Vec::new(),
            owners: HashSet::new(),
            same: 0,
        }
    }

    /// Decides about all users. `now` is the join date of those who have none, and no chat.
    ///
    /// # Errors
    /// Fails if a renaming fits no user, or if the source is not the one that was imported before.
    pub(super) fn decide(
        &mut self,
        found: &Found,
        now: NaiveDateTime,
        report: &mut Report,
    ) -> Result<(), ImportError> {
        for (joined, user) in in_order(found, now) {
            let counts = match user.owner.0 {
                ImportedKind::User => &mut report.users,
                _ => &mut report.administrators,
            };
            counts.found += 1;
            if let Some(id) = self.here.users.get(&user.owner) {
                counts.imported_before += 1;
                self.decide_again(user, *id, report);
            } else if user.owner.0 == ImportedKind::Administrator && !user.is_superuser {
                counts.not_imported += 1;
                report.note(Topic::NotSuperuser, || user.shown());
            } else {
                self.decide_new(user, joined, report);
            }
        }
        self.check_all(report)
    }

    fn check_all(&self, report: &Report) -> Result<(), ImportError> {
        let unused = self.renames.iter().enumerate().find(|(place, _)| !self.renamed.contains(place));
        if let Some((_, rename)) = unused {
            return Err(ImportError::Refused(format!(
                "--rename {}={}: there is no such user to import",
                rename.old,
                rename.new.as_str()
            )));
        }
        let before = report.users.imported_before + report.administrators.imported_before;
        if !self.here.is_first_run() && self.same == 0 {
            return Err(ImportError::Refused(format!(
                "none of the users who were imported as {:?} is in this database ({before} ids are): if it is another \
                 one, give it another name (--source)",
                report.source
            )));
        }
        Ok(())
    }

    /// Looks at a user who was imported before. Nothing of that user's row changes here.
    fn decide_again(&mut self, user: &FoundUser, id: i64, report: &mut Report) {
        self.renamed.extend(self.rename_of(user));
        let Some(imported) = self.imported.get(&id) else { return };
        if imported.is_anonymised() {
            self.same += 1;
            return report.note(Topic::Anonymised, || format!("user {id}"));
        }
        let has_joined_then = user.joined.is_none_or(|joined| joined == imported.row.date_joined);
        if !has_joined_then && canonical_of(&user.name) != imported.row.username_canonical {
            return report.note(Topic::OtherUser, || {
                format!("{}, imported before: {:?} (user {id} here)", user.shown(), imported.row.username)
            });
        }
        self.same += 1;
        self.owners.insert(user.owner.clone());
        let there = opening(user, NegativeBalances::Zero).map(|opening| opening.tokens);
        if there != Ok(imported.opening) {
            report.note(Topic::BalanceChanged, || {
                format!("{}: {}, when imported {}", user.shown(), shown_balance(user), imported.opening)
            });
        }
    }

    fn decide_new(&mut self, user: &FoundUser, joined: NaiveDateTime, report: &mut Report) {
        let rename = self.rename_of(user);
        self.renamed.extend(rename);
        let new_name = rename.and_then(|place| self.renames.get(place)).map(|rename| rename.new.as_str());
        let name = new_name.unwrap_or(&user.name);
        let opening = match self.check_name(user, name).and_then(|()| {
            opening(user, self.negative)
                .map_err(|topic| (topic, format!("{}: {}", user.shown(), shown_balance(user))))
        }) {
            Ok(opening) => opening,
            Err((topic, example)) => {
                match user.owner.0 {
                    ImportedKind::User => report.users.not_imported += 1,
                    _ => report.administrators.not_imported += 1,
                }
                return report.note(topic, || example);
            }
        };
        if user.joined.is_none() {
            report.note(Topic::NoJoinDate, || format!("{}: {joined}", user.shown()));
        }
        self.note_what_is_odd(user, name, new_name.is_some(), &opening, report);
        match user.owner.0 {
            ImportedKind::User => report.users.new += 1,
            _ => report.administrators.new += 1,
        }
        report.opening_tokens += i128::from(opening.tokens);
        self.names.insert(canonical_of(name), Some(user.shown()));
        self.owners.insert(user.owner.clone());
        let Opening { tokens, note, .. } = opening;
        let (owner, name) = (user.owner.clone(), name.to_owned());
        self.new.push(PlannedUser { owner, name, tokens, note, joined });
    }

    /// Returns the place of the renaming for a user, if there is one.
    fn rename_of(&self, user: &FoundUser) -> Option<usize> {
        let role = match user.owner.0 {
            ImportedKind::User => Role::Users,
            _ => Role::Administrators,
        };
        let fits =
            |rename: &Rename| rename.old == user.name && rename.role.is_none_or(|wanted| wanted == role);
        self.renames.iter().position(fits)
    }

    fn check_name(&self, user: &FoundUser, name: &str) -> Result<(), (Topic, String)> {
        if let Some(why) = unusable(name) {
            let start: String = user.name.chars().take(60).collect();
            return Err((Topic::UnusableName, format!("{start:?} ({}): {why}", user.owner.1)));
        }
        match self.names.get(&canonical_of(name)) {
            None => Ok(()),
            Some(Some(other)) => Err((Topic::SameName, format!("{}: as {other}", user.shown()))),
            Some(None) => Err((Topic::NameTaken, user.shown())),
        }
    }

    fn note_what_is_odd(
        &mut self,
        user: &FoundUser,
        name: &str,
        is_renamed: bool,
        opening: &Opening,
        report: &mut Report,
    ) {
        if is_renamed {
            report.note(Topic::Renamed, || format!("{} to {name:?}", user.shown()));
        } else if is_unusual(name) {
            report.note(Topic::UnusualName, || user.shown());
        }
        if let Some(topic) = opening.topic {
            report.note(topic, || format!("{}: {}", user.shown(), shown_balance(user)));
        }
        if !user.has_readable_hash {
            report.note(Topic::UnusablePassword, || user.shown());
        }
        if !user.is_active {
            report.note(Topic::Inactive, || user.shown());
        }
        let look = skeleton_of(name);
        match self.looks.get(&look) {
            Some(other) => report.note(Topic::LookAlike, || format!("{}: like {other}", user.shown())),
            None => {
                self.looks.insert(look, user.shown());
            }
        }
    }
}

fn shown_balance(user: &FoundUser) -> &str {
    user.balance.as_deref().unwrap_or("none")
}

/// Returns the users in the order in which they joined. One without a join date has the time of the
/// first chat of that user or of a user with a higher key, who joined later. Without any, it is
/// `now`.
fn in_order(found: &Found, now: NaiveDateTime) -> Vec<(NaiveDateTime, &FoundUser)> {
    let first_chats = found.first_chats();
    let mut users: Vec<(NaiveDateTime, &FoundUser)> = found.users.iter().map(|user| (now, user)).collect();
    users.sort_by(|(_, one), (_, other)| other.owner.cmp(&one.owner));
    let mut latest = now;
    for (joined, user) in &mut users {
        if user.owner.0 == ImportedKind::User {
            latest = first_chats.get(&user.owner.1).map_or(latest, |first| latest.min(*first));
        }
        *joined = user.joined.unwrap_or(if user.owner.0 == ImportedKind::User { latest } else { now });
    }
    users.sort_by(|(joined, one), (other_joined, other)| {
        (joined, &one.owner).cmp(&(other_joined, &other.owner))
    });
    users
}

/// Returns the key of a user of the service.
pub(super) fn user_of(key: &SourceKey) -> Owner {
    (ImportedKind::User, key.clone())
}
