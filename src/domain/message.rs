//! The message that a user sends in a chat.

use super::Invalid;

/// The most characters (Unicode scalar values) of a message.
pub(super) const MAX_CHARACTERS: usize = 32_000;
const MAX_BYTES: usize = MAX_CHARACTERS * 4;

/// A message: 1 to 32,000 characters, not all of them white space, without U+0000 (PostgreSQL
/// cannot store it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// Rejects a text that is too long, is blank or contains U+0000. Never changes the text.
    pub fn parse(text: String) -> Result<Message, Invalid> {
        // Characters are counted only if the number of bytes does not decide: this runs once a
        // chat, and most messages are short.
        let bytes = text.len();
        if bytes > MAX_BYTES || (bytes > MAX_CHARACTERS && text.chars().count() > MAX_CHARACTERS) {
            return Err(invalid(format!("Use at most {MAX_CHARACTERS} characters.")));
        }
        if text.trim_start().is_empty() {
            return Err(invalid("Write a message."));
        }
        if text.contains('\0') {
            return Err(invalid("Leave out the character U+0000."));
        }
        Ok(Message(text))
    }

    /// Returns the text as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text as it was sent, without a copy.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn invalid(reason: impl Into<String>) -> Invalid {
    Invalid::new("message", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: impl Into<String>) -> Result<Message, Invalid> {
        Message::parse(text.into())
    }

    #[test]
    fn a_message_is_kept_as_it_is() {
        let text = "  Hello,\n  wörld \u{1F511} ";
        assert_eq!(parse(text).unwrap().as_str(), text);
        assert_eq!(parse(text).unwrap().into_string(), text);
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        for c in ["x", "é", "密", "\u{1F511}"] {
            assert!(parse(c.repeat(32_000)).is_ok(), "{c}");
            assert!(parse(c.repeat(32_001)).unwrap_err().reason.contains("32000"), "{c}");
        }
        assert!(parse("x".repeat(1_000_000)).is_err());
    }

    #[test]
    fn blank_messages_and_nul_are_refused() {
        for text in ["", " ", "\n\t \r\n", "\u{A0}\u{3000}\u{2028}"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("a\0b").unwrap_err().reason.contains("U+0000"));
        assert!(parse("\0").is_err());
    }
}
