//! The files of a certificate and its key.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::Digest as _;
use sha2::Sha256;

/// The largest size of each file, in bytes. A long chain has a few KiB.
const MOST_BYTES: u64 = 1024 * 1024;
/// The permission of everybody else to read a file.
const READ_BY_OTHERS: u32 = 0o004;

/// The paths of the two files. They may be the same one.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the two files contain.
pub(super) struct Contents {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// Tells whether the files have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of what was read, or of the reason why it could not be.
    pub(super) fn of(read: &Result<Contents, String>) -> Digest {
        let mut digest = Sha256::new();
        match read {
            Ok(contents) => {
                digest.update((contents.certificate.len() as u64).to_le_bytes());
                digest.update(&contents.certificate);
                digest.update(&contents.key);
            }
            Err(why) => digest.update(why),
        }
        Digest(digest.finalize().into())
    }
}

impl Files {
    /// Reads both files.
    ///
    /// # Errors
    /// A text that names the setting. It does not contain the path of the key: somebody may have
    /// given the key itself instead of the name of its file.
    pub(super) fn read(&self) -> Result<Contents, String> {
        let certificate = read(&self.certificate).map_err(|why| {
            let path = self.certificate.display();
            format!("--tls-certificate: {path} {why}: give the path of a file with the certificate in PEM")
        })?;
        let key = read(&self.key).map_err(|why| {
            format!("--tls-key: the file {why}: give the path of a file with the private key in PEM")
        })?;
        Ok(Contents { certificate, key })
    }

    /// Returns a warning if every user of the machine may read the key.
    pub(super) fn exposed_key(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.key).ok()?.permissions().mode();
        let path = self.key.display();
        (mode & READ_BY_OTHERS != 0).then(|| {
            format!("--tls-key: every user of this machine may read {path}: run `chmod o-rwx {path}`")
        })
    }
}

/// Reads a file. Fails with the end of a sentence.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read ({})", error.kind());
    // A named pipe would block, and a device may never end.
    if !std::fs::metadata(file).map_err(cannot)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(cannot)?;
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("is larger than 1 MiB".to_owned());
    }
    Ok(bytes)
}
