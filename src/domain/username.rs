//! Usernames: strict rules for new ones, lenient rules for logging in.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Invalid;

/// The most characters that a new username may have, after NFKC.
pub(super) const MAX_CHARACTERS: usize = 50;
/// The most bytes that are examined: normalising is linear but not free, and fifty characters need
/// fewer.
const MAX_RAW_BYTES: usize = 1024;

/// A username that obeys the rules for new users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    shown: String,
    canonical: String,
}

impl Username {
    /// Normalises to NFKC (as Django's `normalize_username` does), then requires 1 to 50
    /// characters, each one a letter, a digit or one of `@.+-_` (Django's
    /// `UnicodeUsernameValidator`; see [`is_allowed`] for the exact set).
    pub fn parse(text: &str) -> Result<Username, Invalid> {
        if text.is_empty() {
            return Err(invalid("Enter a username."));
        }
        if text.len() > MAX_RAW_BYTES {
            return Err(too_long());
        }
        let shown: String = text.nfkc().collect();
        if shown.chars().count() > MAX_CHARACTERS {
            return Err(too_long());
        }
        if !shown.chars().all(is_allowed) {
            return Err(invalid("Use letters, digits and @ . + - _ only, without spaces."));
        }
        let canonical = canonical_of(&shown);
        Ok(Username { shown, canonical })
    }

    /// Takes a stored username, which need not obey the rules for new ones.
    pub fn stored(name: &str, canonical: &str) -> Username {
        Username { shown: name.to_owned(), canonical: canonical.to_owned() }
    }

    /// Returns the name as it is stored and shown: NFKC, in the letter case that the user chose.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// Returns the form that must be unique; see [`canonical_of`].
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// A name that a user logs in with. It may be an imported name, which the rules for new names would
/// reject, so it need only have a bounded length and be storable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginName {
    text: String,
    canonical: String,
}

impl LoginName {
    /// Accepts 1 to 1024 bytes without U+0000, which PostgreSQL cannot store, so that no stored
    /// name contains it.
    pub fn parse(text: &str) -> Result<LoginName, Invalid> {
        if text.is_empty() {
            return Err(invalid("Enter your username."));
        }
        if text.len() > MAX_RAW_BYTES || text.contains('\0') {
            return Err(invalid("No user has such a name; check the spelling."));
        }
        Ok(LoginName { text: text.to_owned(), canonical: canonical_of(text) })
    }

    /// Returns the name as it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the form by which the user is looked up; see [`canonical_of`].
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// Returns the form in which two names are compared: NFKC, lower-cased, NFKC again (lower-casing
/// can leave a sequence that composes). It is stable: the canonical form of a canonical form is
/// itself.
///
/// Each character is lower-cased separately, and the final sigma becomes a common one:
/// `str::to_lowercase` chooses between the two by the letters around it. Then `ΟΔΟΣ` and `οδοσ`
/// would be two names.
pub fn canonical_of(name: &str) -> String {
    let lower = name.nfkc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c });
    lower.nfkc().collect()
}

/// Returns whether a new username may contain the character: `@.+-_`, or what Python's `\w`
/// matches, which is letters and numbers of every script but no combining mark. So NFKC must have
/// composed an accent with its letter; names in scripts that write vowels as marks (Devanagari,
/// Thai) are as limited as they are in Django. NUL, controls, spaces, bidirectional controls and
/// zero-width characters are excluded.
///
/// It is stricter than `\w` in one point: it rejects letters that are invisible or blank, and the
/// symbols that Unicode counts as alphabetic without calling them letters (negative circled and
/// squared capitals).
fn is_allowed(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '+' | '-' | '_');
    }
    c.is_alphanumeric() && !is_combining_mark(c) && !is_blank_letter(c) && !is_alphabetic_symbol(c)
}

/// Returns whether the character is a Hangul filler or an Egyptian blank: letters by their Unicode
/// category, but invisible.
fn is_blank_letter(c: char) -> bool {
    matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{13441}' | '\u{13442}')
}

/// Returns whether the character is one of the `Other_Alphabetic` symbols that NFKC does not
/// change.
fn is_alphabetic_symbol(c: char) -> bool {
    matches!(c, '\u{1F150}'..='\u{1F169}' | '\u{1F170}'..='\u{1F189}')
}

fn too_long() -> Invalid {
    invalid(format!("Use at most {MAX_CHARACTERS} characters."))
}

fn invalid(reason: impl Into<String>) -> Invalid {
    Invalid::new("username", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Username::parse(text).unwrap().canonical().to_owned()
    }

    #[test]
    fn letters_digits_and_five_signs_make_a_name() {
        for name in [
            "a",
            "Ada.Lovelace+1@example_x-y",
            "Ünal",
            "李雷",
            "Дмитрий",
            "محمد",
            "٣٤",
            "0",
            "x".repeat(50).as_str(),
        ] {
            assert_eq!(Username::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let zero_width = ["a\u{200B}b", "a\u{200D}b", "\u{FEFF}a", "a\u{2060}b", "a\u{00AD}b", "a\u{034F}b"];
        let bidi = ["a\u{202E}b", "a\u{2066}b", "a\u{200F}b", "a\u{061C}b"];
        let controls = ["a\0", "a\n", "a\u{85}", "a b", " a", "a\u{A0}b", "a\tb"];
        let signs = ["a/b", "a'b", "<b>", "a$", "½", "a\u{1F511}", "a\u{1F150}", "a\u{1160}b", "a\u{3164}"];
        let marks = ["e\u{301}\u{301}", "x\u{301}", "\u{301}"];
        for name in zero_width.iter().chain(&bidi).chain(&controls).chain(&signs).chain(&marks) {
            let refused = Username::parse(name).unwrap_err();
            assert!(refused.reason.contains("letters, digits"), "{name:?}: {refused}");
        }
    }

    #[test]
    fn a_name_has_one_to_fifty_characters_after_normalising() {
        assert!(Username::parse("").is_err());
        assert!(Username::parse(&"é".repeat(51)).is_err());
        assert_eq!(Username::parse(&"e\u{301}".repeat(50)).unwrap().as_str(), "é".repeat(50));
        // One character that NFKC turns into four: fifty of them are too many.
        assert!(Username::parse("㎯").is_err());
        assert!(Username::parse(&"ﬃ".repeat(17)).unwrap_err().reason.contains("at most 50"));
        assert!(Username::parse(&"x".repeat(1_000_000)).is_err());
    }

    #[test]
    fn twins_by_letter_case_or_width_have_one_canonical_form() {
        assert_eq!(canonical("ADA"), canonical("ada"));
        assert_eq!(canonical("Ａｄａ"), canonical("ada"));
        assert_eq!(canonical("ÉMILE"), canonical("e\u{301}mile"));
        assert_eq!(canonical("ΟΔΟΣ"), canonical("οδος"));
        assert_eq!(canonical("ΟΔΟΣ"), canonical("οδοσ"));
        assert_eq!(canonical("\u{212A}elvin"), canonical("kelvin"));
        assert_ne!(canonical("ada"), canonical("adá"));
        assert_eq!(Username::parse("Ａda").unwrap().as_str(), "Ada");
    }

    #[test]
    fn the_canonical_form_is_stable_for_every_character() {
        // All planes that have characters of their own.
        for c in ('\0'..='\u{3FFFF}').chain('\u{E0000}'..='\u{E0FFF}') {
            for text in [format!("{c}"), format!("a{c}\u{301}")] {
                let once = canonical_of(&text);
                assert_eq!(canonical_of(&once), once, "U+{:04X}", c as u32);
            }
        }
    }

    #[test]
    fn every_allowed_character_is_a_letter_or_a_number_that_shows() {
        for c in '\0'..=char::MAX {
            if is_allowed(c) && !c.is_ascii() {
                assert!(
                    c.is_alphanumeric() && !is_combining_mark(c) && !c.is_control() && !c.is_whitespace()
                );
            }
        }
        assert!(!is_allowed('\u{0345}') && !is_allowed('\u{093E}'), "marks that Unicode calls alphabetic");
    }

    #[test]
    fn a_login_name_is_any_storable_text_of_bounded_length() {
        let name = LoginName::parse("Old Name/with $igns").unwrap();
        assert_eq!((name.as_str(), name.canonical()), ("Old Name/with $igns", "old name/with $igns"));
        assert_eq!(LoginName::parse("ADA").unwrap().canonical(), Username::parse("ada").unwrap().canonical());
        assert!(LoginName::parse(&"x".repeat(1024)).is_ok());
        assert!(LoginName::parse(&"x".repeat(1025)).is_err());
        assert!(LoginName::parse("").is_err());
        assert!(LoginName::parse("a\0").is_err());
    }
}
