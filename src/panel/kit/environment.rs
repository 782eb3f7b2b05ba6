//! The label that tells this server from others (`--environment-label`), such as `staging`.

use crate::http::Site;

/// The classes of the colours. Each has enough contrast with its text in both themes.
const COLOURS: [&str; 5] = ["hue-blue", "hue-violet", "hue-teal", "hue-plum", "hue-olive"];
/// The colour of production, which no other label has.
const RED: &str = "hue-red";

/// A label in the top bar and in the title of each page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Environment {
    pub label: String,
    /// The CSS class of its colour. The same label always has the same.
    pub class: &'static str,
}

impl Environment {
    /// Returns the label of a server, if it has one.
    pub(crate) fn of(site: &Site) -> Option<Environment> {
        site.environment.as_deref().map(Environment::new)
    }

    fn new(label: &str) -> Environment {
        let sum = label.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let is_production = label.to_lowercase().starts_with("prod");
        let class = if is_production { RED } else { COLOURS[sum % COLOURS.len()] };
        Environment { label: label.to_owned(), class }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_colour_and_only_production_is_red() {
        assert_eq!(Environment::new("Production").class, RED);
        for label in ["staging", "test", "Prüfung", "ada's laptop"] {
            assert_eq!(Environment::new(label), Environment::new(label));
            assert_ne!(Environment::new(label).class, RED, "{label}");
        }
        assert_ne!(Environment::new("staging").class, Environment::new("test").class);
    }
}
