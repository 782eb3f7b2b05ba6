//! Secrets: values that are never printed, and the files that hold them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest size of a secret's file, in bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Makes a secret of a text.
    pub fn new(text: String) -> SecretText {
        SecretText(text)
    }

    /// Returns the text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Reads a secret from its file, without the newline at its end. `setting` names the file, and
/// `what` is what it holds.
///
/// # Errors
/// A text that says what to do. It contains nothing of the file. If the file cannot be read, it
/// does not contain its name either, because somebody may have given the secret itself instead of a
/// file name.
pub fn read_secret(setting: &str, what: &str, file: &Path) -> Result<SecretText, String> {
    let refused = |why: &str| format!("{setting}: {why}");
    let cannot = |error: std::io::Error| {
        refused(&format!(
            "the file cannot be read ({}): give the path of a file that holds {what}",
            error.kind()
        ))
    };
    // A named pipe would block, and a device may never end.
    if !std::fs::metadata(file).map_err(cannot)?.is_file() {
        return Err(refused(&format!("it is not a regular file: give the path of a file that holds {what}")));
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(cannot)?;
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refused(&format!(
            "the file is larger than 16 KiB: it must hold {what} and nothing else"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        refused(&format!("the file is not text in UTF-8: it must hold {what} and nothing else"))
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(refused(&format!("the file is empty: write {what} into it")));
    }
    Ok(SecretText::new(text.to_owned()))
}
