//! A certificate and its key that belong together.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, ServerConfig};

use super::certificate::Certificate;
use super::files::{Contents, Files};

/// The only protocol that the server speaks over TLS (ALPN).
const HTTP_1_1: &[u8] = b"http/1.1";
/// Marks a key with a passphrase: alone in PKCS#8, in a header of the older forms.
const ENCRYPTED: [&[u8]; 2] = [b"ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// A certificate with its key, and the settings of TLS made of them.
pub(super) struct Pair {
    pub config: Arc<ServerConfig>,
    pub certificate: Certificate,
}

impl Pair {
    /// Parses the files, and checks that the key belongs to the certificate.
    ///
    /// # Errors
    /// A text that names the setting, what is wrong, and what to do. It has nothing of the key.
    pub(super) fn of(files: &Files, contents: &Contents) -> Result<Pair, String> {
        let path = files.certificate.display();
        let of_certificate = |why: &str| format!("--tls-certificate: {path} {why}");
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| of_certificate("is cut short or damaged: write the whole file again"))?;
        let first = chain.first().cloned().ok_or_else(|| {
            of_certificate("contains no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
        })?;
        let certificate = Certificate::parse(first).ok_or_else(|| {
            of_certificate("begins with a certificate that is damaged or not of X.509 version 3")
        })?;
        let provider = Arc::new(ring::default_provider());
        let key = provider.key_provider.load_private_key(parse_key(&contents.key)?).map_err(|_| {
            "--tls-key: the key cannot be used: make one of ECDSA (P-256 or P-384), Ed25519, or RSA with 2048 \
             to 4096 bits"
                .to_owned()
        })?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                return Err(format!(
                    "--tls-key: the key does not belong to the first certificate in {path}: give the key for \
                     which that certificate was made; the server's own certificate comes first"
                ));
            }
        }
        let config = server_config(provider, key)
            .map_err(|error| format!("--tls-certificate: TLS cannot be set up: {error}"))?;
        Ok(Pair { config: Arc::new(config), certificate })
    }
}

fn parse_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let contains = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
    if ENCRYPTED.into_iter().any(contains) {
        return Err(
            "--tls-key: the key has a passphrase: write it without one, by `openssl pkey -in OLD -out NEW`"
                .to_owned(),
        );
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        "--tls-key: the file contains no whole private key in PEM, which begins with -----BEGIN PRIVATE KEY-----"
            .to_owned()
    })
}

fn server_config(
    provider: Arc<rustls::crypto::CryptoProvider>,
    key: CertifiedKey,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // Clients keep their sessions themselves, so that a flood of them takes no memory here.
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
