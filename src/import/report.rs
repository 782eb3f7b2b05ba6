//! What an import finds and what it does with each row, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::layout::Fit;

/// The most examples of a note that are kept.
const MOST_EXAMPLES: usize = 1000;
/// The most examples that the text has, of something that only needs to be known.
const SHOWN_EXAMPLES: usize = 5;

/// What happens to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The import does not begin, or leaves them out if it is told to.
    Refused,
    /// They are not imported.
    LeftOut,
    /// They are imported, changed in one point.
    Changed,
    /// They are imported as they are, or stay as they are here.
    Kept,
}

/// What is noticed about rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each variant has its text below")]
pub enum Topic {
    SameName,
    UnusableName,
    NameTaken,
    NegativeBalance,
    UnreadableBalance,
    OtherUser,
    NotSuperuser,
    Anonymised,
    SharedToken,
    UnusableToken,
    TokenWithoutUser,
    ChatWithoutUser,
    Renamed,
    ZeroedBalance,
    NoBalance,
    UnusablePassword,
    NoJoinDate,
    NoTime,
    UnstorableText,
    UnusualName,
    LookAlike,
    Inactive,
    EmptyMessage,
    BalanceChanged,
    LateChat,
}

impl Topic {
    const fn fate(self) -> Fate {
        match self {
            Topic::SameName
            | Topic::UnusableName
            | Topic::NameTaken
            | Topic::NegativeBalance
            | Topic::UnreadableBalance
            | Topic::OtherUser => Fate::Refused,
            Topic::NotSuperuser
            | Topic::Anonymised
            | Topic::SharedToken
            | Topic::UnusableToken
            | Topic::TokenWithoutUser
            | Topic::ChatWithoutUser => Fate::LeftOut,
            Topic::Renamed
            | Topic::ZeroedBalance
            | Topic::NoBalance
            | Topic::UnusablePassword
            | Topic::NoJoinDate
            | Topic::NoTime
            | Topic::UnstorableText => Fate::Changed,
            Topic::UnusualName
            | Topic::LookAlike
            | Topic::Inactive
            | Topic::EmptyMessage
            | Topic::BalanceChanged
            | Topic::LateChat => Fate::Kept,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Topic::SameName => {
                "users whose name is another user's, except for letter case or width: --rename OLD=NEW"
            }
            Topic::UnusableName => "users whose name is empty or longer than 50 characters: --rename OLD=NEW",
            Topic::NameTaken => "users whose name another user here has already: --rename OLD=NEW",
            Topic::NegativeBalance => {
                "users with a negative balance: --negative-balances zero opens them with 0"
            }
            Topic::UnreadableBalance => {
                "users whose balance is not a whole number, or above 2^60: correct it in the source"
            }
            Topic::OtherUser => "users with the id of a different user who was imported before",
            Topic::NotSuperuser => "administrators who are not superusers",
            Topic::Anonymised => "users who were anonymised here: nothing of them is added",
            Topic::SharedToken => "auth tokens that several users have: nobody can use them",
            Topic::UnusableToken => {
                "auth tokens that no request can present: over 512 bytes, or other than visible ASCII"
            }
            Topic::TokenWithoutUser => "auth tokens whose user is not imported",
            Topic::ChatWithoutUser => "chats whose user is not imported",
            Topic::Renamed => "users who get another name",
            Topic::ZeroedBalance => "users with a negative balance, who open with 0",
            Topic::NoBalance => "users without a balance, who open with 0",
            Topic::UnusablePassword => {
                "users with an unusable password, or a hash of an unknown kind: tollgate changepassword"
            }
            Topic::NoJoinDate => {
                "users without a join date, who get the time of the first chat of theirs or of a later user"
            }
            Topic::NoTime => "chats without a readable time, which get that of the chat before them",
            Topic::UnstorableText => "chats with U+0000 in a text, which becomes U+FFFD",
            Topic::UnusualName => {
                "users with a name that new users cannot have; they log in with it as before"
            }
            Topic::LookAlike => "users with a name that looks like another user's",
            Topic::Inactive => "users who are inactive, and stay so",
            Topic::EmptyMessage => "chats with an empty message",
            Topic::BalanceChanged => {
                "users whose balance has changed there since; the one here stays: tollgate adjust"
            }
            Topic::LateChat => {
                "chats older than the last one here, which filters by day may miss (they go by ids)"
            }
        }
    }
}

/// Something that was noticed about some rows.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// What was noticed.
    pub topic: Topic,
    /// What happens to the rows.
    pub fate: Fate,
    /// The number of rows.
    pub count: usize,
    /// The same in words.
    pub text: &'static str,
    /// Some of the rows.
    pub examples: Vec<String>,
}

/// The numbers of rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the source.
    pub found: usize,
    /// That this import adds.
    pub new: usize,
    /// That an earlier run has added.
    pub imported_before: usize,
    /// That are refused or left out.
    pub not_imported: usize,
}

/// What an import finds and does.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The address of the source, without its password.
    pub from: String,
    /// The name of the source in the map of ids.
    pub source: String,
    pub(super) tables: Vec<Fit>,
    /// Users of the service.
    pub users: Counts,
    /// Administrators of Django.
    pub administrators: Counts,
    /// Auth tokens.
    pub auth_tokens: Counts,
    /// Chats.
    pub chats: Counts,
    /// The sum of the balances with which the new users open.
    pub opening_tokens: i128,
    /// What was noticed, what matters most first.
    pub notes: Vec<Note>,
}

impl Report {
    /// Makes a report without rows.
    pub(super) fn new(from: String, source: String, tables: Vec<Fit>) -> Report {
        let none = Counts::default();
        Report {
            from,
            source,
            tables,
            users: none,
            administrators: none,
            auth_tokens: none,
            chats: none,
            opening_tokens: 0,
            notes: Vec::new(),
        }
    }

    /// Notes something about a row. `example` names it.
    pub(super) fn note(&mut self, topic: Topic, example: impl FnOnce() -> String) {
        let place = self.notes.iter().position(|note| note.topic == topic).unwrap_or_else(|| {
            let (fate, text) = (topic.fate(), topic.text());
            self.notes.push(Note { topic, fate, count: 0, text, examples: Vec::new() });
            self.notes.len() - 1
        });
        if let Some(note) = self.notes.get_mut(place) {
            note.count += 1;
            if note.examples.len() < MOST_EXAMPLES {
                note.examples.push(example());
            }
        }
    }

    /// Puts what matters most first.
    pub(super) fn sort(&mut self) {
        self.notes.sort_by_key(|note| (note.fate, note.topic));
    }

    /// Returns the number of users that are refused.
    pub fn refused(&self) -> usize {
        self.notes.iter().filter(|note| note.fate == Fate::Refused).map(|note| note.count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from {}", self.from)?;
        for fit in &self.tables {
            writeln!(f, "  {:<15} {}", fit.role.to_string(), fit.line())?;
        }
        writeln!(f, "\n{:<15} {:>10} {:>10} {:>10} {:>10}", "", "found", "new", "before", "not")?;
        for (name, counts) in [
            ("users", self.users),
            ("administrators", self.administrators),
            ("auth tokens", self.auth_tokens),
            ("chats", self.chats),
        ] {
            let Counts { found, new, imported_before, not_imported } = counts;
            writeln!(f, "{name:<15} {found:>10} {new:>10} {imported_before:>10} {not_imported:>10}")?;
        }
        writeln!(f, "the new users open with {} tokens together", self.opening_tokens)?;
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::Refused => "refused",
            Fate::LeftOut => "left out",
            Fate::Changed => "changed",
            Fate::Kept => "kept",
        };
        writeln!(f, "{fate} ({}): {}", self.count, self.text)?;
        let most = if self.fate == Fate::Refused { MOST_EXAMPLES } else { SHOWN_EXAMPLES };
        for example in self.examples.iter().take(most) {
            writeln!(f, "    {example}")?;
        }
        match self.count.saturating_sub(self.examples.len().min(most)) {
            0 => Ok(()),
            more => writeln!(f, "    and {more} more"),
        }
    }
}
