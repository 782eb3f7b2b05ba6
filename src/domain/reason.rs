//! The reason that an administrator gives for an action.

use super::{Invalid, NotALine, single_line};

/// The most characters of a reason.
pub const REASON_LENGTH: usize = 200;

/// Why an administrator does something. A reason for moving tokens stays in the ledger for ever,
/// where the user reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Parses a reason: one line of at most [`REASON_LENGTH`] characters. It is trimmed.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the text.
    pub fn parse(text: &str) -> Result<Reason, Invalid> {
        let line = single_line(text, REASON_LENGTH).map_err(|fault| {
            let why = match fault {
                NotALine::Invisible => "enter a reason: the user sees it on the statement",
                NotALine::HasControls | NotALine::TooLong => "use one line of at most 200 characters",
            };
            Invalid::new("reason", why)
        })?;
        Ok(Reason(line))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        assert_eq!(Reason::parse("  a gift ").unwrap().as_str(), "a gift");
        assert_eq!(Reason::parse("a \u{202E}gift\u{2069}").unwrap().as_str(), "a gift");
        for bad in ["", "   ", "\u{200B}\u{202E}", "two\nlines", "a\u{0}b", &"x".repeat(201)] {
            assert!(Reason::parse(bad).is_err(), "{bad:?}");
        }
    }
}
