//! The secret by which the upstream identifies this server.

use std::fmt;

use reqwest::header::HeaderValue;

/// The longest key, in bytes. Servers reject longer headers.
const MOST_BYTES: usize = 4096;

/// The upstream's API key. It is never shown, and sent in one header only.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamKey(HeaderValue);

impl UpstreamKey {
    /// Parses the key from a file or a variable, without surrounding blanks.
    ///
    /// # Errors
    /// A text for the operator, which does not contain the key.
    pub fn parse(text: &str) -> Result<UpstreamKey, String> {
        let key = text.trim();
        if key.is_empty() {
            return Err("the upstream's key is empty".to_owned());
        }
        if key.len() > MOST_BYTES {
            return Err("the upstream's key is longer than 4096 bytes".to_owned());
        }
        let is_sound = key.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_sound);
        let mut header = header.ok_or("the upstream's key has characters that no header can carry")?;
        header.set_sensitive(true);
        Ok(UpstreamKey(header))
    }

    /// Returns the value of `Authorization`, marked as sensitive, so that it is left out when
    /// headers are printed.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_and_never_shown() {
        let key = UpstreamKey::parse(" sk-secret\n").unwrap();
        assert_eq!(key.header(), "Bearer sk-secret");
        assert!(key.header().is_sensitive());
        assert!(!format!("{key:?} {:?}", key.header()).contains("secret"));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_rejected_and_not_shown() {
        for text in ["", " \n", "sk secret", "sk\nsecret", "s\u{e9}cret", "sk\0secret"] {
            let error = UpstreamKey::parse(text).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("cret"), "{error}");
        }
    }
}
