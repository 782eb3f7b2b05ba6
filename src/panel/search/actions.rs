//! Pages and actions that are found by their names: `settings` leads to the settings, and `adjust
//! ada` to the form that adjusts Ada's balance.

use super::asked::{Search, query};
use crate::clock;
use crate::db::DbConnection;
use crate::domain::fold;
use crate::error::Result;
use crate::index::search::Matching;
use crate::models::User;
use crate::panel::kit::hit::{Hit, marked, plain};
use crate::panel::kit::list::{ListParams, first_rows};
use crate::panel::kit::paths;
use crate::panel::kit::preferences::Preferences;
use crate::panel::users::USERS;

/// The most users on offer for one action.
const SHOWN: i64 = 3;
/// The fewest characters of a verb that name it: with fewer, nearly every name would.
const SHORTEST: usize = 3;

/// An action on a user.
struct Verb {
    /// What one types, in lower case.
    typed: &'static str,
    /// What the link says before the name.
    label: &'static str,
    page: fn(i64) -> String,
    /// Whether it makes sense for this user.
    fits: fn(&User) -> bool,
}

const VERBS: [Verb; 8] = [
    Verb { typed: "adjust", label: "Adjust the balance of", page: paths::adjust, fits: |_| true },
    Verb { typed: "limits", label: "Set the limits of", page: paths::limits, fits: |_| true },
    Verb { typed: "edit", label: "Edit", page: paths::edit_user, fits: |_| true },
    Verb { typed: "password", label: "Set the password of", page: paths::set_password, fits: |_| true },
    Verb { typed: "log out", label: "Log out", page: paths::log_out, fits: |user| user.is_active },
    Verb { typed: "deactivate", label: "Deactivate", page: paths::deactivate, fits: |user| user.is_active },
    Verb { typed: "reactivate", label: "Reactivate", page: paths::reactivate, fits: |user| !user.is_active },
    Verb { typed: "anonymise", label: "Anonymise", page: paths::anonymise, fits: |_| true },
];

/// Returns the actions that were typed: a verb, or its beginning, and then a part of a name.
pub(super) fn action_hits(search: &Search, conn: &mut DbConnection) -> Result<Vec<Hit>> {
    if !search.may_change {
        return Ok(Vec::new());
    }
    let mut hits = Vec::new();
    for verb in &VERBS {
        let Some(name) = name_after(verb.typed, &search.words) else { continue };
        let preferences = Preferences { page_size: SHOWN, ..search.preferences };
        let params = ListParams::read(&USERS, &query(name), conn, preferences, clock::now())?;
        let (users, _) = first_rows(&USERS, &params, conn)?;
        for user in users.into_iter().map(|listed| listed.user).filter(|user| (verb.fits)(user)) {
            let mut label = plain(format!("{} ", verb.label));
            label.extend(marked(&user.username, name, Matching::Parts));
            hits.push(Hit { href: (verb.page)(user.id), label, text: Vec::new(), is_by_id: false });
        }
    }
    Ok(hits)
}

/// Returns what was typed after a verb, or after its beginning. `None` if it was not typed, or
/// nothing follows.
fn name_after<'a>(verb: &str, words: &'a str) -> Option<&'a str> {
    let mut rest = words;
    for (place, part) in verb.split(' ').enumerate() {
        let (first, after) = rest.split_once(char::is_whitespace)?;
        let typed = fold(first);
        // A verb of two words may also be written as one.
        if typed == verb.replace(' ', "") {
            rest = after.trim_start();
            break;
        }
        let is_part = part.starts_with(&typed) && (place > 0 || typed.chars().count() >= SHORTEST);
        if !is_part {
            return None;
        }
        rest = after.trim_start();
    }
    (!rest.is_empty()).then_some(rest)
}

/// Returns the pages of which each word begins one of the words that were typed.
pub(super) fn page_hits(search: &Search) -> Vec<Hit> {
    let own = |label: &str, path: &str| (label.to_owned(), path.to_owned());
    let mut pages = search.pages.clone();
    pages.extend([own("Settings and sessions", paths::SETTINGS), own("Change password", paths::PASSWORD)]);
    if search.may_change {
        pages.extend([own("Add user", paths::ADD_USER), own("Make an auth token", paths::ADD_AUTH_TOKEN)]);
    }
    let typed: Vec<String> = search.words.split_whitespace().map(fold).collect();
    let fits = |label: &str| {
        let label = fold(label);
        typed.iter().all(|word| label.split_whitespace().any(|one| one.starts_with(word.as_str())))
    };
    let hit = |(label, href): (String, String)| Hit {
        href,
        label: marked(&label, &search.words, Matching::Words),
        text: Vec::new(),
        is_by_id: false,
    };
    pages.into_iter().filter(|(label, _)| fits(label)).map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::name_after;

    #[test]
    fn a_verb_or_its_beginning_comes_before_a_name() {
        for (verb, words, name) in [
            ("adjust", "adjust ada", Some("ada")),
            ("adjust", "ADJ  ada lovelace", Some("ada lovelace")),
            ("adjust", "ad ada", None),
            ("adjust", "adjust", None),
            ("adjust", "adjust ", None),
            ("adjust", "adjusted ada", None),
            ("log out", "log out ada", Some("ada")),
            ("log out", "logout ada", Some("ada")),
            ("log out", "log ada", None),
            ("deactivate", "reactivate ada", None),
        ] {
            assert_eq!(name_after(verb, words), name, "{words}");
        }
    }
}
