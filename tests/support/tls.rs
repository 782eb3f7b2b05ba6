//! What reqwest, and with it the browser's driver, needs to be told before its first client is made.

/// Tells rustls whose cryptography to use. It can be told once; a second time changes nothing.
pub fn set_up() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
