//! Passwords: strict rules for a new one, lenient rules for logging in.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::common_passwords::is_common;
use super::decoration::{is_decorated, words_of};
use super::{Invalid, Username, canonical_of};

/// The fewest characters of a new password (Django's `MinimumLengthValidator`).
pub(super) const MIN_CHARACTERS: usize = 8;
/// The name of this server. A new password may not consist of it or of the username.
const PRODUCT: &str = "tollgate";
/// The shortest common password, in characters, that is searched for inside other passwords.
const SHORTEST_WORD: usize = 4;
/// The most bytes of a password, so that a request cannot make the server hash megabytes.
pub(super) const MAX_BYTES: usize = 1024;

/// A password that a user logs in with. All that is known of it is that it can be hashed.
///
/// Passwords compare by content: keyboards write `é` as one character or as two, so the text is
/// normalised to NFC before it is hashed. Older and imported hashes are of the text as it was
/// received, so the other forms are tried, too.
#[derive(Clone)]
pub struct Password {
    /// NFC first. The rest differs from it, and from each other.
    forms: Vec<String>,
}

impl Password {
    /// Accepts 1 to 1024 bytes without U+0000, after which bcrypt implementations differ.
    pub fn parse(text: &str) -> Result<Password, Invalid> {
        if text.is_empty() {
            return Err(invalid("Enter a password."));
        }
        if text.len() > MAX_BYTES {
            return Err(invalid(format!("Use at most {MAX_BYTES} bytes.")));
        }
        if text.contains('\0') {
            return Err(invalid("Leave out the character U+0000."));
        }
        let mut forms = vec![composed(text)];
        for form in [text.to_owned(), text.nfd().collect()] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        Ok(Password { forms })
    }

    /// Returns the password itself in NFC, for hashing only.
    pub fn expose(&self) -> &str {
        self.forms.first().map_or("", String::as_str)
    }

    /// Returns the forms whose hash may be stored, for checking only: NFC, the text as received,
    /// and NFD, without repetitions. Their number depends on the text alone.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        self.forms.iter().map(String::as_str)
    }
}

/// Returns whether two passwords have the same content, such as a new one and its repetition.
pub fn is_same_password(one: &str, other: &str) -> bool {
    composed(one) == composed(other)
}

/// Returns NFC. Most passwords are ASCII, which it leaves as it is.
fn composed(text: &str) -> String {
    text.nfc().collect()
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// A password that obeys the rules for new passwords.
#[derive(Clone, Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Requires at least 8 characters and at most 1024 bytes. Rejects the words that an attacker
    /// tries first: the most common passwords (Django's `CommonPasswordValidator`), the username,
    /// and the name of this server, even with digits and signs around them or look-alikes in them.
    pub fn parse(text: &str, username: &Username) -> Result<NewPassword, Invalid> {
        NewPassword::parse_for(text, username.canonical())
    }

    /// Applies the rules of [`NewPassword::parse`] for a stored user's canonical name, which may be
    /// an imported name that no new user could have.
    pub fn parse_for(text: &str, canonical_username: &str) -> Result<NewPassword, Invalid> {
        let password = Password::parse(text)?;
        let text = password.expose();
        if text.chars().count() < MIN_CHARACTERS {
            return Err(invalid(format!("Use at least {MIN_CHARACTERS} characters.")));
        }
        if canonical_of(text) == canonical_username {
            return Err(invalid("Choose a password that is not the username."));
        }
        if is_common(text) {
            return Err(invalid("Choose another password: this one is among the most common."));
        }
        if is_decorated(text, canonical_username) {
            return Err(invalid("Choose another password: this one is the username with little around it."));
        }
        if is_decorated(text, PRODUCT) {
            return Err(invalid(
                "Choose another password: this one is the server's name with little around it.",
            ));
        }
        if words_of(text).iter().any(|word| word.chars().count() >= SHORTEST_WORD && is_common(word)) {
            return Err(invalid(
                "Choose another password: this one is among the most common, with little around it.",
            ));
        }
        Ok(NewPassword(password))
    }
}

impl AsRef<Password> for NewPassword {
    fn as_ref(&self) -> &Password {
        &self.0
    }
}

impl From<NewPassword> for Password {
    fn from(new: NewPassword) -> Password {
        new.0
    }
}

fn invalid(reason: impl Into<String>) -> Invalid {
    Invalid::new("password", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_password(text: &str) -> Result<NewPassword, Invalid> {
        NewPassword::parse(text, &Username::parse("Lovelace.1815").unwrap())
    }

    fn reason(text: &str) -> String {
        new_password(text).unwrap_err().reason
    }

    #[test]
    fn a_new_password_has_eight_characters_to_1024_bytes() {
        assert!(reason("xk7-qpz").contains("at least 8 characters"));
        assert!(new_password("xk7-qpzw").is_ok());
        // Characters count, not bytes: these are seven in fourteen bytes, then eight.
        assert!(reason("ééééééé").contains("at least 8"));
        assert!(new_password("éèéèéèéè").is_ok());
        assert!(new_password(&"xy".repeat(512)).is_ok());
        assert!(reason(&"x".repeat(1025)).contains("at most 1024 bytes"));
    }

    #[test]
    fn common_passwords_and_the_username_are_refused() {
        assert!(reason("password1").contains("most common"));
        assert!(reason(" PASSWORD1 ").contains("most common"));
        assert!(reason("lovelace.1815").contains("username"));
        assert!(reason("ＬＯＶＥＬＡＣＥ.1815").contains("username"));
        for decorated in ["lovelace.1815!", "lovelace2026", "1Lovelace.1815", "l0v3lac3.1815"] {
            assert!(reason(decorated).contains("username"), "{decorated}");
        }
        for decorated in ["tollgate2026", "T0llgate!", "tollgatetollgate1"] {
            assert!(reason(decorated).contains("server's name"), "{decorated}");
        }
        for decorated in ["Sunshine2026!", "99dragon99", "p@ssw0rd123", "MONKEY!!!"] {
            assert!(reason(decorated).contains("most common"), "{decorated}");
        }
        for good in ["lovelace and byron", "my tollgate is open", "xk7-qpzw", "dragonfly under glass 7"] {
            assert!(new_password(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn logging_in_takes_any_password_that_can_be_hashed() {
        assert_eq!(Password::parse("1").unwrap().expose(), "1");
        assert!(Password::parse(&"x".repeat(1024)).is_ok());
        assert!(Password::parse(&"x".repeat(1025)).is_err());
        assert!(Password::parse("").is_err());
        assert!(Password::parse("a\0bcdefgh").is_err());
        assert!(new_password("a\0bcdefgh").is_err());
    }

    #[test]
    fn debug_output_and_refusals_never_show_a_password() {
        assert_eq!(format!("{:?}", Password::parse("hunter2").unwrap()), "Password(redacted)");
        assert_eq!(
            format!("{:?}", new_password("hunter2-hunter2").unwrap()),
            "NewPassword(Password(redacted))"
        );
        for text in ["hunter2", "password1", "lovelace.1815", "hunter2\0"] {
            assert!(!format!("{:?}", new_password(text)).contains(text));
        }
    }

    #[test]
    fn a_password_has_one_form_for_each_way_to_write_it() {
        let forms =
            |text: &str| Password::parse(text).unwrap().forms().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(forms("xk7-qpzw"), ["xk7-qpzw"]);
        assert_eq!(forms("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(forms("cafe\u{301}"), ["caf\u{e9}", "cafe\u{301}"]);
        // Neither NFC nor NFD: marks in another order.
        let odd = "q\u{307}\u{323}\u{e9}";
        assert_eq!(forms(odd), ["q\u{323}\u{307}\u{e9}", odd, "q\u{323}\u{307}e\u{301}"]);
        // Only the way to write it may differ, not the content: NFKC would make these equal.
        assert_ne!(forms("\u{2460}")[0], "1");
        assert!(is_same_password("caf\u{e9}", "cafe\u{301}") && !is_same_password("cafe", "caf\u{e9}"));
    }

    #[test]
    fn the_rules_count_the_characters_of_nfc() {
        assert!(reason(&"e\u{301}".repeat(7)).contains("at least 8 characters"));
        assert_eq!(new_password(&"e\u{301}".repeat(8)).unwrap().as_ref().expose(), "\u{e9}".repeat(8));
    }

    #[test]
    fn a_new_password_serves_as_a_password() {
        let new = new_password("xk7-qpzw").unwrap();
        assert_eq!(new.as_ref().expose(), "xk7-qpzw");
        assert_eq!(Password::from(new).expose(), "xk7-qpzw");
    }
}
