//! Texts of one line that people give to things: reasons, names of auth tokens, titles. One rule
//! serves for all of them.
//!
//! Characters that control the direction of writing are removed: they would turn around what stands
//! beside the text, and people who paste them cannot see them. Everything else is kept as it is.

use unicode_security::skeleton;

/// Why a text is not one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotALine {
    /// The text shows nothing.
    Invisible,
    /// The text has line breaks or other control characters.
    HasControls,
    /// The text is too long.
    TooLong,
}

/// Returns a text as it is stored: trimmed, and without direction controls. It has at most `most`
/// characters.
///
/// # Errors
/// The text is invisible, too long, or has control characters.
pub fn single_line(text: &str, most: usize) -> Result<String, NotALine> {
    let line: String = text.chars().filter(|c| !is_direction_control(*c)).collect();
    let line = line.trim();
    if line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(NotALine::HasControls);
    }
    if is_invisible(line) {
        return Err(NotALine::Invisible);
    }
    if line.chars().count() > most {
        return Err(NotALine::TooLong);
    }
    Ok(line.to_owned())
}

/// Returns whether the character is a mark, an embedding, an override or an isolate of the Unicode
/// Bidirectional Algorithm.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a text shows nothing: it consists of spaces, of characters that are never shown,
/// and of letters that are blank. (A skeleton has no characters that are never shown.)
fn is_invisible(text: &str) -> bool {
    let is_blank = |c: char| c.is_whitespace() || matches!(c, '\u{2800}' | '\u{13441}' | '\u{13442}');
    skeleton(text).all(is_blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_controls_are_removed_and_the_rest_is_kept() {
        for control in ['\u{202A}', '\u{202E}', '\u{2066}', '\u{2069}', '\u{200E}', '\u{200F}', '\u{61C}'] {
            assert_eq!(single_line(&format!(" {control}a gi{control}ft {control} "), 6).unwrap(), "a gift");
        }
        // Joiners and selectors are part of words and pictures.
        for kept in ["نمی\u{200C}خواهم", "👩\u{200D}💻", "❤\u{FE0F}", "שלום", "e\u{301}"] {
            assert_eq!(single_line(kept, 20).unwrap(), kept);
        }
    }

    #[test]
    fn a_line_shows_something() {
        for text in [
            "",
            " ",
            "\u{200B}",
            "\u{FEFF}\u{2060}",
            "\u{AD}",
            "\u{3164}",
            "\u{2800}",
            "\u{202E}",
            "\u{E0041}",
            "\u{A0}\u{200D}\u{3000}",
            "\u{115F}\u{1160}",
            "\u{FE0F}",
            "\u{13441}",
        ] {
            assert_eq!(single_line(text, 20), Err(NotALine::Invisible), "{text:?}");
        }
        for text in ["two\nlines", "a\0b", "a\u{85}b", "a\u{2028}b", "\u{1B}[1m"] {
            assert_eq!(single_line(text, 20), Err(NotALine::HasControls), "{text:?}");
        }
        assert_eq!(single_line("abc", 2), Err(NotALine::TooLong));
        assert_eq!(single_line(" ab\u{202E} ", 2).unwrap(), "ab");
    }
}
