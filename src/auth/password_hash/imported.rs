//! Reads the hashes of Django's other hashers. Each function takes what follows `algorithm$`. It
//! returns `None` for a hash that is malformed or needs more work or memory than the limits allow.
//!
//! The limits are well above the defaults of every Django release. They keep one imported row from
//! occupying the server: a check takes some seconds at most.

use argon2::{Algorithm, Argon2, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The most iterations of PBKDF2. Django 5.2 writes 1,000,000, and adds about a fifth with each
/// release.
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;
/// The most memory of Argon2, in kibibytes. Django writes 102,400.
const MAX_ARGON2_MEMORY: u32 = 256 * 1024;
/// The most work of Argon2, in kibibytes times passes. Django writes 204,800.
const MAX_ARGON2_WORK: u32 = 2 * 1024 * 1024;
/// The highest block size and the highest parallelism of scrypt. Django writes 8 and 5.
const MAX_SCRYPT_FACTOR: u32 = 64;
/// The most memory of scrypt, in bytes (128·N·r). Django writes 16 MiB.
const MAX_SCRYPT_MEMORY: u64 = 128 * 1024 * 1024;
/// The most work of scrypt, in bytes times parallelism. Django writes 80 MiB.
const MAX_SCRYPT_WORK: u64 = 1024 * 1024 * 1024;
/// The length of a hash, in bytes. Django writes 32 with Argon2 and 64 with scrypt.
const HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// A hash that was read, and can be compared with passwords. The comparison is `None` if the
/// algorithm rejects the parameters.
pub(super) type Check<'a> = Box<dyn Fn(&[u8]) -> Option<bool> + 'a>;

/// Reads a hash of `PBKDF2PasswordHasher`: `<iterations>$<salt>$<base64>`. The salt is plain text,
/// the hash has 32 bytes.
pub(super) fn pbkdf2_sha256(stored: &str) -> Option<Check<'_>> {
    let (iterations, salt, expected) = pbkdf2_parts(stored, 32)?;
    Some(Box::new(move |password| {
        let mut found = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt.as_bytes(), iterations, &mut found);
        Some(equal(&found, &expected))
    }))
}

/// Reads a hash of `PBKDF2SHA1PasswordHasher`, which has 20 bytes and is otherwise like the one
/// with SHA-256.
pub(super) fn pbkdf2_sha1(stored: &str) -> Option<Check<'_>> {
    let (iterations, salt, expected) = pbkdf2_parts(stored, 20)?;
    Some(Box::new(move |password| {
        let mut found = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(password, salt.as_bytes(), iterations, &mut found);
        Some(equal(&found, &expected))
    }))
}

fn pbkdf2_parts(stored: &str, bytes: usize) -> Option<(u32, &str, Vec<u8>)> {
    let [iterations, salt, hash] = parts(stored, '$')?;
    let iterations = number(iterations).filter(|n| (1..=MAX_PBKDF2_ITERATIONS).contains(n))?;
    let expected = STANDARD.decode(hash).ok()?;
    (!salt.is_empty() && expected.len() == bytes).then_some((iterations, salt, expected))
}

/// Reads a hash of `Argon2PasswordHasher`, a PHC string:
/// `argon2id$v=19$m=<kibibytes>,t=<passes>,p=<lanes>$<salt>$<hash>` in base64 without padding.
/// Older releases of Django wrote `argon2i`.
pub(super) fn argon2(stored: &str) -> Option<Check<'_>> {
    let [variety, version, params, salt, hash] = parts(stored, '$')?;
    let algorithm = match variety {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return None,
    };
    let version = Version::try_from(number(version.strip_prefix("v=")?)?).ok()?;
    let [memory, passes, lanes] = parts(params, ',')?;
    let memory = number(memory.strip_prefix("m=")?).filter(|n| *n <= MAX_ARGON2_MEMORY)?;
    let passes = number(passes.strip_prefix("t=")?)?;
    let lanes = number(lanes.strip_prefix("p=")?)?;
    // Lanes need no limit of their own: they share the memory, and run one after another.
    memory.checked_mul(passes).filter(|work| *work <= MAX_ARGON2_WORK)?;
    let salt = STANDARD_NO_PAD.decode(salt).ok()?;
    let expected = STANDARD_NO_PAD.decode(hash).ok().filter(|hash| HASH_BYTES.contains(&hash.len()))?;
    let params = argon2::Params::new(memory, passes, lanes, Some(expected.len())).ok()?;
    Some(Box::new(move |password| {
        let mut found = vec![0; expected.len()];
        let argon2 = Argon2::new(algorithm, version, params.clone());
        argon2.hash_password_into(password, &salt, &mut found).ok()?;
        Some(equal(&found, &expected))
    }))
}

/// Reads a hash of `ScryptPasswordHasher`: `<N>$<salt>$<r>$<p>$<base64>`. The salt is plain text,
/// the hash has 64 bytes.
pub(super) fn scrypt(stored: &str) -> Option<Check<'_>> {
    let [n, salt, r, p, hash] = parts(stored, '$')?;
    let n = number(n).filter(|n| *n > 1 && n.is_power_of_two())?;
    let r = number(r).filter(|r| (1..=MAX_SCRYPT_FACTOR).contains(r))?;
    let p = number(p).filter(|p| (1..=MAX_SCRYPT_FACTOR).contains(p))?;
    let memory = 128 * u64::from(n) * u64::from(r);
    if memory > MAX_SCRYPT_MEMORY || memory * u64::from(p) > MAX_SCRYPT_WORK {
        return None;
    }
    let expected = STANDARD.decode(hash).ok()?;
    if salt.is_empty() || expected.len() != 64 {
        return None;
    }
    let params = scrypt::Params::new(u8::try_from(n.ilog2()).ok()?, r, p).ok()?;
    Some(Box::new(move |password| {
        let mut found = [0; 64];
        scrypt::scrypt(password, salt.as_bytes(), &params, &mut found).ok()?;
        Some(equal(&found, &expected))
    }))
}

/// Splits a text into exactly `N` parts. `None` if there are more or fewer.
fn parts<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    text.split(separator).collect::<Vec<_>>().try_into().ok()
}

/// Parses a decimal number as all of these hashers write it: digits only. Rust's `parse` would also
/// accept a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Compares in a time that depends only on the lengths.
fn equal(found: &[u8], expected: &[u8]) -> bool {
    found.ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&str) -> Option<Check<'_>>;

    fn check(read: Read, stored: &str) -> Option<bool> {
        read(stored)?(PASSWORD)
    }

    const PASSWORD: &[u8] = b"correct horse";
    const PBKDF2_SHA1: &str = "1000$saltsaltsalt$JfNU29qvQkW1UgahO6OQ0oP6O0I=";
    const PBKDF2: &str = "1000$5By61V7XgGTqtQX9JRyJhB$ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8=";
    const ARGON2: &str = "argon2id$v=19$m=1024,t=2,p=2$OUdPaU51dWNDOWRJd2tGdzloeGVLSw$CaZyluXNsFBHkN191ADIJnIxIaHAGWePQPTUTaJrjCA";
    const SCRYPT: &str = "1024$lwJTzn3y5kTP7j0nNIlZmi$8$2$YvuD2QM+StPswTyl4OfdaR3Kwc3+NQE0NRZXBO+Z0+95+JHWF+4CTVQEZ2rao7nAYEdemqzKtIfYphW0IJf86Q==";

    #[test]
    fn other_varieties_of_argon2_verify_too() {
        // Written by argon2-cffi 25.1.0.
        let argon2i =
            "argon2i$v=19$m=512,t=3,p=1$c2FsdHNhbHRzYWx0$f4irPdecd8wuBLqKai+DIGYma6/Ci4Tv9xBAo3EjLvc";
        let version16 = "argon2id$v=16$m=512,t=3,p=1$c2FsdHNhbHRzYWx0$X2XURxJQAAW00EGCAfxCiw";
        assert_eq!(check(argon2, argon2i), Some(true));
        assert_eq!(check(argon2, version16), Some(true));
        assert_eq!(check(argon2, &argon2i.replace("argon2i", "argon2d")), Some(false));
        assert_eq!(check(argon2, &version16.replace("v=16", "v=19")), Some(false));
    }

    #[test]
    fn hashes_that_ask_for_too_much_are_not_run() {
        assert_eq!(check(pbkdf2_sha256, &PBKDF2.replacen("1000", "1000000000", 1)), None);
        assert_eq!(check(pbkdf2_sha256, &PBKDF2.replacen("1000", "99999999999999999999", 1)), None);
        assert_eq!(check(argon2, &ARGON2.replace("m=1024", "m=4194304")), None);
        assert_eq!(check(argon2, &ARGON2.replace("m=1024,t=2", "m=262145,t=1")), None);
        assert_eq!(check(argon2, &ARGON2.replace("t=2", "t=1000000")), None);
        assert_eq!(check(argon2, &ARGON2.replace("t=2", "t=4294967295")), None);
        assert_eq!(check(argon2, &ARGON2.replace("p=2", "p=4294967295")), None);
        assert_eq!(check(scrypt, &SCRYPT.replacen("1024", "1073741824", 1)), None);
        assert_eq!(check(scrypt, &SCRYPT.replace("$8$2$", "$4294967295$2$")), None);
        assert_eq!(check(scrypt, &SCRYPT.replace("$8$2$", "$8$4294967295$")), None);
        assert_eq!(check(scrypt, &SCRYPT.replacen("1024", "131072", 1).replace("$8$2$", "$8$64$")), None);
    }

    #[test]
    fn malformed_hashes_are_none_and_never_a_panic() {
        let valid: [(Read, &str); 4] =
            [(pbkdf2_sha256, PBKDF2), (pbkdf2_sha1, PBKDF2_SHA1), (argon2, ARGON2), (scrypt, SCRYPT)];
        for (read, stored) in valid {
            assert_eq!(check(read, stored), Some(true));
            for end in 0..stored.len() {
                assert_ne!(check(read, &stored[..end]), Some(true), "{}", &stored[..end]);
            }
            for broken in
                ["", "$", "$$$", "$$$$", "é$é$é", "é$é$é$é$é", &format!("{stored}$"), &format!("${stored}")]
            {
                assert_eq!(check(read, broken), None, "{broken}");
            }
        }
        for (from, to) in
            [("1000$", "0$"), ("1000$", "+1000$"), ("1000$", "-1$"), ("1000$", "$"), ("=", ""), ("ack4", "")]
        {
            assert_eq!(check(pbkdf2_sha256, &PBKDF2.replacen(from, to, 1)), None, "{from} {to}");
        }
        for (from, to) in [
            ("m=1024", "m=0"),
            ("t=2", "t=0"),
            ("p=2", "p=0"),
            ("v=19", "v=1"),
            ("m=1024", "m=15"),
            (",p=2", ""),
        ] {
            assert_eq!(check(argon2, &ARGON2.replacen(from, to, 1)), None, "{from} {to}");
        }
        for (from, to) in [
            ("1024$", "1000$"),
            ("1024$", "1$"),
            ("1024$", "0$"),
            ("$8$2$", "$0$2$"),
            ("$8$2$", "$8$0$"),
            ("==", ""),
        ] {
            assert_eq!(check(scrypt, &SCRYPT.replacen(from, to, 1)), None, "{from} {to}");
        }
    }
}
