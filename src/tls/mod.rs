//! TLS in the server: a certificate and its key, read from two files, checked, and read again when
//! the files change.

mod certificate;
mod files;
mod pair;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDateTime;
use rustls::ServerConfig;

pub use certificate::{Certificate, Validity};
use files::{Digest, Files};
use pair::Pair;
use watch::Watch;

/// The certificate that the server shows, and its key. Cheap to clone; clones share the pair, which
/// is replaced when the files change.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    state: Mutex<State>,
}

struct State {
    pair: Pair,
    /// The digest of the files that the pair was read from.
    digest: Digest,
    /// Why the changed files are not used.
    failure: Option<String>,
}

/// What the panel shows of the certificate.
#[derive(Clone, Debug)]
pub struct Served {
    /// The certificate in use.
    pub certificate: Certificate,
    /// Why the files, which have changed since, are not used. `None` if they are in use.
    pub failure: Option<String>,
}

impl Tls {
    /// Reads and checks the certificate and its key.
    ///
    /// # Errors
    /// A text that names the setting of the file, what is wrong with it, and what to do.
    pub fn open(certificate: &Path, key: &Path) -> Result<Tls, String> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let read = files.read();
        let digest = Digest::of(&read);
        let pair = Pair::of(&files, &read?)?;
        Ok(Tls(Arc::new(Shared { files, state: Mutex::new(State { pair, digest, failure: None }) })))
    }

    /// Reads the files again when they change, until it is dropped.
    pub async fn watch(&self) {
        Watch::new(self).run().await;
    }

    /// Returns the settings for the next handshake.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.lock().pair.config.clone()
    }

    /// Returns what the panel shows.
    pub fn served(&self) -> Served {
        let state = self.lock();
        Served { certificate: state.pair.certificate.clone(), failure: state.failure.clone() }
    }

    /// Returns what the operator should know at the start, a sentence each. `public_host` is the
    /// host of `--public-url`.
    pub fn warnings(&self, public_host: Option<&str>, now: NaiveDateTime) -> Vec<String> {
        let certificate = self.served().certificate;
        let mut warnings: Vec<String> = certificate.warning(now).into_iter().collect();
        if let Some(host) = public_host
            && !certificate.is_for(host)
        {
            warnings.push(format!(
                "the TLS certificate is not for {host}, the host of --public-url: clients will refuse it"
            ));
        }
        warnings.extend(self.0.files.exposed_key());
        warnings
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows no key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.0.files.certificate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
