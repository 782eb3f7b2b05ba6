//! The set-up of TLS that reqwest, and with it the browser's driver, needs before its first client.

/// Tells rustls which cryptography to use. Only the first call has an effect.
pub fn set_up() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
