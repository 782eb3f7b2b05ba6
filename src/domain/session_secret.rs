//! A session's secret, which only the browser has, and the CSRF token that is derived from it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{NoRandomness, PlainToken, TokenDigest};

/// The value of the session cookie: 256 random bits. Only its digest is stored.
pub struct SessionSecret(String);

impl SessionSecret {
    /// Generates a secret from the operating system's random source.
    ///
    /// # Errors
    /// Fails if the operating system returns no random bytes.
    pub fn generate() -> Result<SessionSecret, NoRandomness> {
        PlainToken::generate().map(|token| SessionSecret(token.expose().to_owned()))
    }

    /// Takes the value of a cookie. Returns `None` if it cannot be a secret.
    pub fn presented(text: &str) -> Option<SessionSecret> {
        TokenDigest::of(text).map(|_| SessionSecret(text.to_owned()))
    }

    /// Returns the secret itself, for the header that sets the cookie or the link that the command
    /// line prints.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the digest, which is stored. It is never `None` for a secret that we generated.
    pub fn digest(&self) -> Option<TokenDigest> {
        TokenDigest::of(&self.0)
    }

    /// Returns the token that each form of this session carries. The secret cannot be computed from
    /// it.
    pub fn csrf_token(&self) -> CsrfToken {
        let mut digest = Sha256::new();
        digest.update(b"tollgate csrf token\0");
        digest.update(self.0.as_bytes());
        CsrfToken(URL_SAFE_NO_PAD.encode(digest.finalize()))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(redacted)")
    }
}

/// Proves that a form comes from one of our pages, shown to the same session.
#[derive(Clone)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// Returns the text of the form's hidden field.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares with the token that a form carried, in constant time.
    pub fn is(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csrf_token_fits_its_own_session_only() {
        let (one, other) = (SessionSecret::generate().unwrap(), SessionSecret::generate().unwrap());
        let again = SessionSecret::presented(one.expose()).unwrap();
        assert!(one.csrf_token().is(again.csrf_token().expose()));
        assert!(!one.csrf_token().is(other.csrf_token().expose()));
        assert!(!one.csrf_token().is(""));
        assert!(!one.csrf_token().is(one.expose()));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let secret = SessionSecret::generate().unwrap();
        let shown = format!("{secret:?} {:?}", secret.csrf_token());
        assert_eq!(shown, "SessionSecret(redacted) CsrfToken(redacted)");
    }
}
