//! The set-up of TLS that reqwest, which the browser's driver uses, needs before its first client.

/// Chooses the cryptography for rustls. Only the first call has an effect.
pub fn set_up() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
