//! The reason that an administrator gives for an action.

use super::Invalid;

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
        let text = text.trim();
        if text.is_empty() {
            return Err(Invalid::new("reason", "enter a reason: the user sees it on the statement"));
        }
        if text.chars().count() > REASON_LENGTH || text.chars().any(char::is_control) {
            return Err(Invalid::new("reason", "use one line of at most 200 characters"));
        }
        Ok(Reason(text.to_owned()))
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
        for bad in ["", "   ", "two\nlines", "a\u{0}b", &"x".repeat(201)] {
            assert!(Reason::parse(bad).is_err(), "{bad:?}");
        }
    }
}
