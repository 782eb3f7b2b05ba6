//! Further names by which clients may ask for a model.

use super::{Invalid, single_line};

/// The most names.
const MOST: usize = 50;

/// The most bytes of a name: of a longer one, no request is accepted.
const LENGTH: usize = 200;

/// Stands at the end of a name for anything.
const ANYTHING: char = '*';

/// A list of names, each once. One that ends in `*` stands for all names that begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(Vec<String>);

impl Aliases {
    /// Parses a list that is separated by commas. `field` is the name that an error gets.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the list.
    pub fn parse(field: &'static str, text: &str) -> Result<Aliases, Invalid> {
        let mut names: Vec<String> = Vec::new();
        for name in aliases_in(text) {
            if name.len() > LENGTH || single_line(name, LENGTH).as_deref() != Ok(name) {
                return Err(Invalid::new(field, "give each name in up to 200 bytes, on one line"));
            }
            if name.strip_suffix(ANYTHING).unwrap_or(name).contains(ANYTHING) {
                return Err(Invalid::new(field, "put a * only at the end of a name"));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if names.len() > MOST {
            return Err(Invalid::new(field, "give at most 50 names"));
        }
        Ok(Aliases(names))
    }
}

/// Returns the names of a list that is separated by commas.
pub fn aliases_in(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Returns whether an alias stands for all names that begin in one way.
pub fn is_pattern(alias: &str) -> bool {
    alias.ends_with(ANYTHING)
}

/// Returns how well a name fits an alias: more for an equal one, and for a longer beginning. `None`
/// if it does not fit.
pub fn alias_fit(alias: &str, name: &str) -> Option<usize> {
    match alias.strip_suffix(ANYTHING) {
        Some(beginning) => name.starts_with(beginning).then_some(beginning.len()),
        None => (alias == name).then_some(usize::MAX),
    }
}

/// Shows the list as it is stored.
impl std::fmt::Display for Aliases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, Invalid> {
        Aliases::parse("aliases", text).map(|aliases| aliases.to_string())
    }

    #[test]
    fn names_are_trimmed_and_kept_once() {
        let wanted = "claude-opus-*, gpt-4 turbo, vendor/x:free, *";
        assert_eq!(parse(" ,claude-opus-*,gpt-4 turbo, vendor/x:free ,*,*,"), Ok(wanted.to_owned()));
        assert_eq!(parse(" "), Ok(String::new()));
        let most: Vec<_> = (0..MOST).map(|number| format!("a{number}")).collect();
        assert!(parse(&most.join(",")).is_ok());
        assert!(parse(&format!("{},b", most.join(","))).is_err());
        assert!(parse(&"x".repeat(LENGTH)).is_ok());
    }

    #[test]
    fn a_name_that_no_request_can_have_is_rejected() {
        for bad in ["*-opus", "a*b*", "**", "a\nb", "a\u{7}b", &"x".repeat(LENGTH + 1)] {
            assert!(parse(&format!("a,{bad},c")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_equal_name_fits_best_and_then_the_longest_beginning() {
        let fit = |alias| alias_fit(alias, "claude-opus-5");
        assert!(fit("claude-opus-5") > fit("claude-opus-5*") && fit("claude-opus-5*") > fit("claude-*"));
        assert_eq!((fit("*"), fit("claude-opus"), fit("claude-opus-5-*")), (Some(0), None, None));
    }
}
