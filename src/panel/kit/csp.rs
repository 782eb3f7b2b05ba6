//! The Content-Security-Policy of the panel's pages.

/// Everything comes from this server, and nothing is inline.
pub(in crate::panel) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
