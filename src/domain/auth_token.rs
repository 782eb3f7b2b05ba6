//! Auth tokens: the plain text, which only its holder has, and the digest, which is all that is
//! stored.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

/// The prefix of every auth token. People and secret scanners recognise one by it.
const PREFIX: &str = "tg_";
const RANDOM_BYTES: usize = 32;
/// How many leading characters of an auth token are shown in lists. 214 of its 256 random bits stay
/// secret.
const SHOWN_CHARACTERS: usize = 10;
/// A text like an auth token of at least this many characters is treated as one.
const SECRET_CHARACTERS: usize = 20;
/// The number of characters of an imported auth token (Django REST framework).
const IMPORTED_CHARACTERS: usize = 40;
/// The longest text, in bytes, that is digested. Our own auth tokens have 46 characters.
const MAX_PRESENTED_BYTES: usize = 512;

/// The operating system returned no random bytes. Nothing may be issued without them.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(#[from] rand::rngs::SysError);

/// A new auth token in plain text: `tg_` and 256 random bits in base64url. It is shown once and
/// never stored.
pub struct PlainToken(String);

impl PlainToken {
    /// Generates an auth token from the operating system's random source.
    ///
    /// # Errors
    /// Fails if the operating system returns no random bytes.
    pub fn generate() -> Result<PlainToken, NoRandomness> {
        let mut random = [0; RANDOM_BYTES];
        SysRng.try_fill_bytes(&mut random)?;
        Ok(PlainToken(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// Returns the auth token itself, for the one response that contains it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the first ten characters, by which its owner recognises it in a list.
    pub fn first_characters(&self) -> &str {
        self.0.get(..SHOWN_CHARACTERS).unwrap_or(PREFIX)
    }

    /// Returns the digest, which is stored and by which a request's token is looked up.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of_bytes(self.0.as_bytes())
    }
}

/// Returns the first characters of another service's auth token, by which its owner recognises it:
/// ten, or a quarter of a short one, so that most of it stays secret.
pub fn first_characters_of(imported: &str) -> &str {
    imported.get(..SHOWN_CHARACTERS.min(imported.len() / 4)).unwrap_or_default()
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(redacted)")
    }
}

/// The SHA-256 of an auth token. A plain digest is enough, because the input is 256 random bits and
/// not a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Returns the digest of the text that a client sent. Returns `None` if the text cannot be an
    /// auth token: if it is empty, longer than 512 bytes, or contains anything but visible ASCII.
    /// Any visible ASCII is accepted, because imported auth tokens have other forms than ours.
    pub fn of(presented: &str) -> Option<TokenDigest> {
        let bytes = presented.as_bytes();
        let possible =
            (1..=MAX_PRESENTED_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        possible.then(|| TokenDigest::of_bytes(bytes))
    }

    /// Returns the digest in its stored form.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of_bytes(bytes: &[u8]) -> TokenDigest {
        TokenDigest(Sha256::digest(bytes).into())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(redacted)")
    }
}

/// Returns the auth token in the value of an `Authorization` header: `<token>`, `Token <token>`
/// (Django REST framework) or `Bearer <token>` (RFC 6750), the scheme in any letter case. Returns
/// `None` for anything else, also for a scheme without a token.
pub fn presented_token(header: &str) -> Option<&str> {
    let mut words = header.split_ascii_whitespace();
    let first = words.next()?;
    let first_is_scheme = ["token", "bearer"].iter().any(|scheme| first.eq_ignore_ascii_case(scheme));
    match (words.next(), words.next()) {
        (None, _) if !first_is_scheme => Some(first),
        (Some(token), None) if first_is_scheme => Some(token),
        _ => None,
    }
}

/// Cuts each auth token in a text to the characters that lists show. Returns `None` if there is
/// none. A part that is long enough to be worth guessing the rest counts as an auth token, and so
/// do 40 hexadecimal digits, the form of the imported ones.
pub fn without_tokens(text: &str) -> Option<String> {
    let mut cut = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_of_token) {
        let (before, found) = rest.split_at(start);
        let (run, after) = found.split_at(found.find(|c| !is_of_token(c)).unwrap_or(found.len()));
        cut.push_str(before);
        cut.push_str(shown_of(run));
        rest = after;
    }
    cut.push_str(rest);
    (cut != text).then_some(cut)
}

/// Returns what may be shown of characters that may be an auth token.
fn shown_of(run: &str) -> &str {
    let is_imported = run.len() == IMPORTED_CHARACTERS && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let start = if is_imported { Some(0) } else { run.find(PREFIX) };
    match start {
        Some(start) if run.len() - start >= SECRET_CHARACTERS => &run[..start + SHOWN_CHARACTERS],
        _ => run,
    }
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tokens_in_a_text_are_cut_to_their_first_characters() {
        let token = PlainToken::generate().unwrap();
        let (whole, first) = (token.expose(), token.first_characters());
        assert_eq!(without_tokens(whole).unwrap(), first);
        let text = format!("the token ({whole}), and {whole}.");
        assert_eq!(without_tokens(&text).unwrap(), format!("the token ({first}), and {first}."));
        assert_eq!(without_tokens(&whole[..20]).unwrap(), first);
        for text in ["", "tg_", first, "tg_config_option", "a tg_ b", "Ada"] {
            assert_eq!(without_tokens(text), None, "{text}");
        }
        let imported = "0123456789abcdefABCD0123456789abcdefABCD";
        assert_eq!(without_tokens(&format!("is {imported}?")).unwrap(), "is 0123456789?");
        assert_eq!(without_tokens(&imported[1..]), None);
        // A token may contain its own prefix.
        let odd = format!("tg_{}tg_{}", "a".repeat(20), "b".repeat(20));
        assert_eq!(without_tokens(&odd).unwrap(), "tg_aaaaaaa");
    }

    #[test]
    fn a_generated_token_is_256_random_bits_with_a_prefix() {
        let token = PlainToken::generate().unwrap();
        let random = token.expose().strip_prefix("tg_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
        assert_eq!(token.first_characters(), &token.expose()[..10]);
        let many: HashSet<String> =
            (0..100).map(|_| PlainToken::generate().unwrap().expose().to_owned()).collect();
        assert_eq!(many.len(), 100);
    }

    #[test]
    fn the_digest_of_a_token_is_the_digest_of_what_its_holder_presents() {
        let token = PlainToken::generate().unwrap();
        assert_eq!(TokenDigest::of(token.expose()), Some(token.digest()));
        let abc = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]; // FIPS 180-2, appendix B.1.
        assert_eq!(TokenDigest::of("abc").unwrap().as_bytes()[..8], abc);
    }

    #[test]
    fn what_cannot_be_a_token_has_no_digest() {
        assert!(TokenDigest::of(&"x".repeat(512)).is_some());
        for text in ["", " ", "a b", "a\0", "a\n", "é", "a\u{7f}", x513().as_str()] {
            assert_eq!(TokenDigest::of(text), None, "{text:?}");
        }
    }

    fn x513() -> String {
        "x".repeat(513)
    }

    #[test]
    fn debug_output_never_shows_a_token_or_a_digest() {
        let token = PlainToken::generate().unwrap();
        assert_eq!(format!("{token:?} {:?}", token.digest()), "PlainToken(redacted) TokenDigest(redacted)");
    }

    #[test]
    fn the_header_has_three_forms() {
        for header in
            ["tg_x", " tg_x ", "Token tg_x", "Bearer tg_x", "bEARER   tg_x", " TOKEN tg_x\t", "token\ttg_x"]
        {
            assert_eq!(presented_token(header), Some("tg_x"), "{header:?}");
        }
    }

    #[test]
    fn any_other_header_presents_nothing() {
        for header in [
            "",
            "  ",
            "Bearer",
            "token ",
            "Basic dXNlcjpwYXNz",
            "Bearer a b",
            "Token Bearer a",
            "a b",
            "Bearer: a",
        ] {
            assert_eq!(presented_token(header), None, "{header:?}");
        }
    }
}
