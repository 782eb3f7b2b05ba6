//! Usernames: strict rules for new ones, lenient rules for logging in.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Invalid, canonical_of, mixes_scripts, skeleton_of};

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
    /// Trims spaces, which phones append, and normalises to NFKC (as Django's `normalize_username`
    /// does). Then requires 1 to 50 characters, each one a letter, a digit or one of `@.+-_`
    /// (Django's `UnicodeUsernameValidator`; see [`is_allowed`] for the exact set), and no `-` at
    /// the beginning: commands would take the name for an option.
    pub fn parse(text: &str) -> Result<Username, Invalid> {
        if text.len() > MAX_RAW_BYTES {
            return Err(too_long());
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(invalid("Enter a username."));
        }
        let shown: String = text.nfkc().collect();
        if shown.chars().count() > MAX_CHARACTERS {
            return Err(too_long());
        }
        if !shown.chars().all(is_allowed) {
            return Err(invalid("Use letters, digits and @ . + - _ only, without spaces."));
        }
        if shown.starts_with('-') {
            return Err(invalid("Begin with something else than -, such as a letter or a digit."));
        }
        if mixes_scripts(&shown) {
            return Err(invalid(
                "Use the letters of one script, such as only Latin or only Cyrillic ones: mixed ones look like \
                 another name.",
            ));
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

    /// Returns what the name looks like; see [`skeleton_of`]. A new name may not look like another
    /// user's.
    pub fn skeleton(&self) -> String {
        skeleton_of(&self.shown)
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
    /// The text as it was sent, if that is another one.
    untrimmed: Option<String>,
}

impl LoginName {
    /// Accepts 1 to 1024 bytes without U+0000, which PostgreSQL cannot store, so that no stored
    /// name contains it. Trims spaces, which phones append.
    pub fn parse(text: &str) -> Result<LoginName, Invalid> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(invalid("Enter your username."));
        }
        if text.len() > MAX_RAW_BYTES || text.contains('\0') {
            return Err(invalid("No user has such a name; check the spelling."));
        }
        let untrimmed = (trimmed != text).then(|| text.to_owned());
        Ok(LoginName { text: trimmed.to_owned(), canonical: canonical_of(trimmed), untrimmed })
    }

    /// Returns the name without spaces around it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the form by which the user is looked up; see [`canonical_of`]. It has no spaces
    /// around it, so that they make no other account of the name for the limits.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns the name as it was sent, if it had spaces around it. An imported name may have them.
    pub fn untrimmed(&self) -> Option<&str> {
        self.untrimmed.as_deref()
    }
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
        let controls = ["a\0", "a\nb", "a\u{85}b", "a b", "a\u{A0}b", "a\tb"];
        let signs = ["a/b", "a'b", "<b>", "a$", "½", "a\u{1F511}", "a\u{1F150}", "a\u{1160}b", "a\u{3164}"];
        let marks = ["e\u{301}\u{301}", "x\u{301}", "\u{301}"];
        for name in zero_width.iter().chain(&bidi).chain(&controls).chain(&signs).chain(&marks) {
            let refused = Username::parse(name).unwrap_err();
            assert!(refused.reason.contains("letters, digits"), "{name:?}: {refused}");
        }
    }

    #[test]
    fn spaces_around_a_new_name_are_dropped() {
        for text in [" ada", "ada ", "\tada\n", "\u{A0}ada\u{3000}"] {
            assert_eq!(Username::parse(text).unwrap().as_str(), "ada");
        }
        assert!(Username::parse("   ").unwrap_err().reason.contains("Enter a username"));
    }

    #[test]
    fn a_new_name_does_not_look_like_an_option() {
        for text in ["-", "-h", "--help", " -5", "\u{FF0D}h"] {
            assert!(Username::parse(text).unwrap_err().reason.contains("something else than -"), "{text}");
        }
        for text in ["a-", "_-", "+5", "@-h"] {
            assert!(Username::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_new_name_has_the_letters_of_one_script() {
        for text in ["r\u{43E}\u{43E}t", "\u{13AA}da", "p\u{430}ypal", "\u{391}da"] {
            assert!(Username::parse(text).unwrap_err().reason.contains("one script"), "{text}");
        }
        assert_eq!(Username::parse("ROOT").unwrap().skeleton(), Username::parse("r00t").unwrap().skeleton());
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
        assert!(LoginName::parse(" ").is_err());
        assert!(LoginName::parse("a\0").is_err());
        let spaced = LoginName::parse(" Ada\u{A0}").unwrap();
        assert_eq!((spaced.as_str(), spaced.canonical()), ("Ada", "ada"));
        assert_eq!(spaced.untrimmed(), Some(" Ada\u{A0}"));
        assert_eq!(LoginName::parse("Ada").unwrap().untrimmed(), None);
    }
}
