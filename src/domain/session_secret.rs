//! A session's secret, which only the browser has, and the CSRF token that is made of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{NoRandomness, PlainToken, TokenDigest};

/// What the cookie holds: 256 random bits. Only its digest is stored.
pub struct SessionSecret(String);

impl SessionSecret {
    pub fn generate() -> Result<SessionSecret, NoRandomness> {
        PlainToken::generate().map(|token| SessionSecret(token.expose().to_owned()))
    }

    /// What a cookie held, if it can be one.
    pub fn presented(text: &str) -> Option<SessionSecret> {
        TokenDigest::of(text).map(|_| SessionSecret(text.to_owned()))
    }

    /// For the one header that sets the cookie, or the one line that prints the link.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored. `None` cannot happen to a secret of ours.
    pub fn digest(&self) -> Option<TokenDigest> {
        TokenDigest::of(&self.0)
    }

    /// The token that each form of this session carries. Who knows it cannot tell the secret.
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

/// Proof that a form comes from a page of ours, shown to the same session.
#[derive(Clone)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// For the form's hidden field.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// In constant time.
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
