//! Auth tokens: the plain text, which only its holder ever has, and the digest, which is all that is stored.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

/// How every auth token begins, so that people and secret scanners recognise one.
const PREFIX: &str = "tg_";
const RANDOM_BYTES: usize = 32;
/// How many of its first characters an auth token is recognised by in lists. 214 of its 256 random bits stay unseen.
const SHOWN_CHARACTERS: usize = 10;
/// The longest text that is digested at all; our own auth tokens have 46 characters.
const MAX_PRESENTED_BYTES: usize = 512;

/// The operating system gave no random bytes; nothing may be issued without them.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(#[from] rand::rngs::SysError);

/// A new auth token in plain text: `tg_` and 256 random bits in base64url. It is shown once and never stored.
pub struct PlainToken(String);

impl PlainToken {
    /// Makes one from the operating system's random source.
    pub fn generate() -> Result<PlainToken, NoRandomness> {
        let mut random = [0; RANDOM_BYTES];
        SysRng.try_fill_bytes(&mut random)?;
        Ok(PlainToken(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// The auth token itself, for the one answer that hands it out.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first ten characters, by which its owner recognises it in a list.
    pub fn first_characters(&self) -> &str {
        self.0.get(..SHOWN_CHARACTERS).unwrap_or(PREFIX)
    }

    /// What is stored, and what a request is looked up by.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of_bytes(self.0.as_bytes())
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(redacted)")
    }
}

/// The SHA-256 of an auth token. A plain digest suffices, because the input is 256 random bits and not a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of what a client presented, or `None` if that cannot be an auth token: empty, longer than 512 bytes,
    /// or anything but visible ASCII. Any visible ASCII will do, because imported auth tokens look otherwise than ours.
    pub fn of(presented: &str) -> Option<TokenDigest> {
        let bytes = presented.as_bytes();
        let possible =
            (1..=MAX_PRESENTED_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        possible.then(|| TokenDigest::of_bytes(bytes))
    }

    /// The digest as it is stored.
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

/// The auth token in the value of an `Authorization` header: `<token>`, `Token <token>` (Django REST framework) or
/// `Bearer <token>` (RFC 6750), the scheme in any case. `None` for anything else, also for a scheme without a token.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

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
