//! Password hashes in the form in which Django stores them, `algorithm$…`. These are pure functions
//! that keep a core busy for a while, so call them only through [`super::hasher::Hasher`].
//!
//! New hashes are those of Django's `BCryptSHA256PasswordHasher`: bcrypt of the lower-case
//! hexadecimal SHA-256, because bcrypt ignores all bytes after the 72nd. `imported` checks the
//! other hashes that an imported database may have.
//!
//! Rejecting a password never takes less time than rejecting a name that does not exist: a check
//! that costs less than the usual bcrypt does the missing work (as Django does since its ticket
//! 20760). See `usual_cost` for the usual cost.

mod imported;

use std::ops::RangeInclusive;
use std::str::FromStr;

use bcrypt::HashParts;
use sha2::{Digest, Sha256};

use crate::domain::Password;
use crate::error::Error;

/// The highest bcrypt cost that is ever run, in doublings, and the maximum of the setting
/// `--bcrypt-cost`. A stored hash with a higher cost counts as unreadable. Otherwise one imported
/// row could keep a core busy for minutes.
pub const MAX_BCRYPT_COST: u32 = 16;
/// The costs that bcrypt can have and that are run.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=MAX_BCRYPT_COST;
/// The longest stored hash that is read. Django's column has 128 characters.
const MAX_STORED_BYTES: usize = 1024;
const PREFIX: &str = "bcrypt_sha256$";
/// The value of `Retry-After` when too many passwords wait, in seconds.
const RETRY_AFTER_BUSY: u64 = 5;

/// Why a password could not be hashed or checked. Neither reason says anything about the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many others already wait. Try again in some seconds.
    #[error("too many passwords are waiting to be hashed; try again in some seconds")]
    Busy,
    /// The hashing itself failed: no random bytes, a cost out of range, or the server is stopping.
    #[error("hashing a password failed: {0}")]
    Failed(String),
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Error::PasswordQueueFull(RETRY_AFTER_BUSY),
            HashError::Failed(why) => Error::Internal(why),
        }
    }
}

/// The result of checking a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong, or no password can match the stored hash.
    No,
    /// The password is correct.
    Yes,
    /// The password is correct, and should be hashed again and stored, because the stored hash has
    /// another algorithm or a lower cost than configured. (Like Django's `must_update`, except that
    /// a higher cost is kept.)
    YesUpgrade,
}

/// Hashes a password for storing, `bcrypt_sha256$$2b$<cost>$…`, with a salt from the operating
/// system. The cost is in doublings, 4 to 31.
pub fn hash(password: &Password, bcrypt_cost: u32) -> Result<String, HashError> {
    let hashed = bcrypt::non_truncating_hash(sha256_hex(password.expose()), bcrypt_cost);
    hashed.map(|text| format!("{PREFIX}{text}")).map_err(|error| HashError::Failed(error.to_string()))
}

/// Checks a password against a stored hash. Returns `No` for anything that is not a readable hash
/// of a known algorithm within the limits of `imported`, including Django's unusable password,
/// `!…`. A `No` always costs at least one bcrypt of `usual_cost` for each form of the password. For
/// bcrypt hashes up to that cost, it costs exactly that.
pub fn verify(password: &Password, stored: &str, bcrypt_cost: u32, usual_cost: u32) -> Verified {
    verify_spending(password, stored, [bcrypt_cost, usual_cost], spend_one)
}

/// `spend` runs a bcrypt of the given cost and discards the result.
fn verify_spending(
    password: &Password,
    stored: &str,
    costs: [u32; 2],
    mut spend: impl FnMut(&str, u32),
) -> Verified {
    for (place, form) in password.forms().enumerate() {
        match verify_form(form, stored, costs, |cost| spend(form, cost)) {
            Verified::No => {}
            // A hash of another form than NFC is replaced.
            _ if place > 0 => return Verified::YesUpgrade,
            verified => return verified,
        }
    }
    Verified::No
}

/// Checks one form of a password.
fn verify_form(
    form: &str,
    stored: &str,
    [bcrypt_cost, usual_cost]: [u32; 2],
    spend: impl FnMut(u32),
) -> Verified {
    let checked = if stored.len() > MAX_STORED_BYTES { Checked::UNREADABLE } else { check(form, stored) };
    if !checked.correct {
        match checked.bcrypt_cost {
            // 2^c for the check, then 2^c + 2^(c+1) + … up to 2^(usual-1): together 2^usual.
            Some(cost) => (cost..usual_cost).for_each(spend),
            None => std::iter::once(usual_cost).for_each(spend),
        }
        return Verified::No;
    }
    let current = stored.starts_with(PREFIX) && checked.bcrypt_cost.is_some_and(|cost| cost >= bcrypt_cost);
    if current { Verified::Yes } else { Verified::YesUpgrade }
}

/// Does the work of checking a password, in all its forms, against a hash of that cost, for a name
/// that does not exist.
pub fn spend_equal_time(password: &Password, bcrypt_cost: u32) {
    password.forms().for_each(|form| spend_one(form, bcrypt_cost));
}

fn spend_one(form: &str, bcrypt_cost: u32) {
    // The optimiser must not see that the result is unused.
    let _ = std::hint::black_box(unneeded(form, bcrypt_cost));
}

fn unneeded(form: &str, bcrypt_cost: u32) -> Result<HashParts, bcrypt::BcryptError> {
    bcrypt::hash_with_salt(sha256_hex(form), bcrypt_cost, [0; 16])
}

/// Returns the cost of a stored hash. `None` unless it is bcrypt with a cost that is ever run.
pub fn bcrypt_cost_of(stored: &str) -> Option<u32> {
    let (algorithm, rest) = stored.split_once('$')?;
    let parts = matches!(algorithm, "bcrypt_sha256" | "bcrypt").then(|| HashParts::from_str(rest).ok());
    parts.flatten().map(|parts| parts.get_cost()).filter(|cost| BCRYPT_COSTS.contains(cost))
}

/// The result of comparing a password with one stored hash.
struct Checked {
    correct: bool,
    /// The cost of the bcrypt that was run, if one was.
    bcrypt_cost: Option<u32>,
}

impl Checked {
    const UNREADABLE: Checked = Checked { correct: false, bcrypt_cost: None };

    fn without_bcrypt(correct: Option<bool>) -> Checked {
        Checked { correct: correct.unwrap_or(false), bcrypt_cost: None }
    }
}

fn check(form: &str, stored: &str) -> Checked {
    let Some((algorithm, rest)) = stored.split_once('$') else {
        return Checked::UNREADABLE;
    };
    match algorithm {
        "bcrypt_sha256" => check_bcrypt(sha256_hex(form).as_bytes(), rest),
        // Plain bcrypt ignores all bytes after the 72nd, as it did when the hash was written.
        "bcrypt" => check_bcrypt(form.as_bytes(), rest),
        _ => Checked::without_bcrypt(reader(algorithm, rest).and_then(|check| check(form.as_bytes()))),
    }
}

/// Reads a hash of another algorithm than bcrypt. `rest` is what follows its name.
fn reader<'a>(algorithm: &str, rest: &'a str) -> Option<imported::Check<'a>> {
    match algorithm {
        "pbkdf2_sha256" => imported::pbkdf2_sha256(rest),
        "pbkdf2_sha1" => imported::pbkdf2_sha1(rest),
        "argon2" => imported::argon2(rest),
        "scrypt" => imported::scrypt(rest),
        _ => None,
    }
}

/// Returns whether a password can match a stored hash: it has a form that [`verify`] reads, and
/// does not need more work than the limits allow. Hashes nothing.
pub fn is_readable(stored: &str) -> bool {
    let Some((algorithm, rest)) = stored.split_once('$') else { return false };
    stored.len() <= MAX_STORED_BYTES
        && (bcrypt_cost_of(stored).is_some() || reader(algorithm, rest).is_some())
}

fn check_bcrypt(input: &[u8], stored: &str) -> Checked {
    let Ok(parts) = HashParts::from_str(stored) else {
        return Checked::UNREADABLE;
    };
    if !BCRYPT_COSTS.contains(&parts.get_cost()) {
        return Checked::UNREADABLE;
    }
    match bcrypt::verify(input, stored) {
        Ok(correct) => Checked { correct, bcrypt_cost: Some(parts.get_cost()) },
        Err(_) => Checked::UNREADABLE,
    }
}

/// Returns the SHA-256 as 64 bytes of hexadecimal text, so that bcrypt uses all of it.
fn sha256_hex(form: &str) -> String {
    base16(&Sha256::digest(form.as_bytes()))
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
