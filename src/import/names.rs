//! Names of imported users: which are kept, which are refused, and how to rename them.

use std::str::FromStr;

use super::role::Role;
use crate::domain::Username;

/// The most characters of a name that is kept as it is.
const MAX_CHARACTERS: usize = 50;

/// A new name for a user of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Which of the two tables the user is in. `None`: whichever has the name.
    pub role: Option<Role>,
    /// The name in the source.
    pub old: String,
    /// The name here, which obeys the rules for new names.
    pub new: Username,
}

impl FromStr for Rename {
    type Err = String;

    /// Reads `OLD=NEW`, or `administrators:OLD=NEW` for a name that both tables have. `OLD` may
    /// have an `=`, because `NEW` cannot.
    fn from_str(text: &str) -> Result<Rename, String> {
        let (old, new) = text.rsplit_once('=').ok_or("write OLD=NEW")?;
        let (role, old) = [Role::Users, Role::Administrators]
            .into_iter()
            .find_map(|role| Some((Some(role), old.strip_prefix(&format!("{role}:"))?)))
            .unwrap_or((None, old));
        let new = Username::parse(new).map_err(|invalid| format!("the new name: {}", invalid.reason))?;
        Ok(Rename { role, old: old.to_owned(), new })
    }
}

/// Reads a file of renamings, one a line. Blank lines are skipped.
///
/// # Errors
/// Returns the number of the first line that is not one, and why.
pub fn parse_renames(text: &str) -> Result<Vec<Rename>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rename = |(number, line): (usize, &str)| {
        line.parse().map_err(|why: String| format!("line {}: {why}", number + 1))
    };
    lines.map(rename).collect()
}

/// Why no user can have a name here, or `None`.
pub(super) fn unusable(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("the name is empty");
    }
    if name.contains('\0') {
        return Some("the name has a character that no database stores (U+0000)");
    }
    (name.chars().count() > MAX_CHARACTERS).then_some("the name has more than 50 characters")
}

/// Returns whether a name is one that new users cannot have.
pub(super) fn is_unusual(name: &str) -> bool {
    Username::parse(name).map_or(true, |username| username.as_str() != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renaming_has_an_old_and_a_new_name() {
        let rename: Rename = "Ada=ada.l".parse().unwrap();
        assert_eq!((rename.role, rename.old.as_str(), rename.new.as_str()), (None, "Ada", "ada.l"));
        let rename: Rename = "administrators:a=b:c=root".parse().unwrap();
        assert_eq!((rename.role, rename.old.as_str()), (Some(Role::Administrators), "a=b:c"));
        for wrong in ["Ada", "Ada=", "Ada=a b", "Ada=-x"] {
            assert!(wrong.parse::<Rename>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_has_one_renaming_a_line() {
        let renames = parse_renames("Ada=ada.l\n\n Old Name =old.name\r\n").unwrap();
        assert_eq!(renames.len(), 2);
        assert_eq!(renames[1].old, " Old Name ");
        assert!(parse_renames("Ada=a\nBob").unwrap_err().starts_with("line 2: "));
    }

    #[test]
    fn names_that_new_users_cannot_have_are_kept_up_to_50_characters() {
        for name in ["Old Name", "o'brien", " padded ", "-h", "pаypal", &"x".repeat(50)] {
            assert_eq!(unusable(name), None, "{name}");
        }
        for name in ["", "  ", "a\0", &"é".repeat(51)] {
            assert!(unusable(name).is_some(), "{name:?}");
        }
        assert!(is_unusual("Old Name") && is_unusual(" ada") && is_unusual("-h") && !is_unusual("Ada.L"));
    }
}
