//! The Content-Security-Policy of the panel's pages.

/// Allows only styles, scripts, images and connections of this server, and nothing inline.
pub(in crate::panel) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
