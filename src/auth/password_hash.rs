//! Password hashes in the form in which Django stores them, `algorithm$…`. Pure functions that burn a core for a
//! while: call them through [`super::hasher::Hasher`] only.
//!
//! New hashes are Django's `BCryptSHA256PasswordHasher`: bcrypt of the lower-case hexadecimal SHA-256, so that bytes past
//! bcrypt's 72nd count. What else an imported database may hold is in [`imported`].
//!
//! Saying no never takes less time than for a name that does not exist: after every check that did not itself do a
//! bcrypt of the configured cost, that work is done and thrown away (as Django does since its ticket 20760).

mod imported;

use std::str::FromStr;

use bcrypt::HashParts;
use sha2::{Digest, Sha256};

use crate::domain::Password;
use crate::error::Error;

/// The dearest bcrypt that is ever run, in doublings; the setting `--bcrypt-cost` ends there, and a stored hash beyond it
/// counts as unreadable, or one imported row could keep a core busy for minutes.
pub const MAX_BCRYPT_COST: u32 = 16;
/// The longest stored hash that is looked at. Django's column has 128 characters.
const MAX_STORED_BYTES: usize = 1024;
const PREFIX: &str = "bcrypt_sha256$";

/// Why a password could not be hashed or checked. Neither says anything about the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many others wait already; try again in some seconds.
    #[error("too many passwords are waiting to be hashed; try again in some seconds")]
    Busy,
    /// The hashing itself failed: no random bytes, a cost out of range, or the server is stopping.
    #[error("hashing a password failed: {0}")]
    Failed(String),
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Error::Unavailable(error.to_string()),
            HashError::Failed(why) => Error::Internal(why),
        }
    }
}

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Wrong password, or a stored hash that nothing matches.
    No,
    /// Correct.
    Yes,
    /// Correct, and the stored hash should be replaced by a new one now that the password is at hand: it is of another
    /// algorithm or cheaper than configured (Django's `must_update`, but a dearer hash is left alone).
    YesUpgrade,
}

/// Hashes a password for storing, `bcrypt_sha256$$2b$<cost>$…`, with a salt from the operating system. The cost is in
/// doublings, 4 to 31.
pub fn hash(password: &Password, bcrypt_cost: u32) -> Result<String, HashError> {
    let hashed = bcrypt::non_truncating_hash(sha256_hex(password), bcrypt_cost);
    hashed.map(|text| format!("{PREFIX}{text}")).map_err(|error| HashError::Failed(error.to_string()))
}

/// Checks a password against a stored hash. Anything that is no readable hash of a known algorithm within the bounds
/// of [`imported`] is `No`; so is Django's unusable password, `!…`. A `No` always costs at least one bcrypt of
/// `bcrypt_cost`.
pub fn verify(password: &Password, stored: &str, bcrypt_cost: u32) -> Verified {
    let checked = if stored.len() > MAX_STORED_BYTES { Checked::UNREADABLE } else { check(password, stored) };
    if !checked.correct {
        if checked.bcrypt_cost.is_none_or(|cost| cost < bcrypt_cost) {
            spend_equal_time(password, bcrypt_cost);
        }
        return Verified::No;
    }
    let current = stored.starts_with(PREFIX) && checked.bcrypt_cost.is_some_and(|cost| cost >= bcrypt_cost);
    if current { Verified::Yes } else { Verified::YesUpgrade }
}

/// Does the work of checking a password against a hash of that cost, for a name that does not exist.
pub fn spend_equal_time(password: &Password, bcrypt_cost: u32) {
    let discarded = bcrypt::hash_with_salt(sha256_hex(password), bcrypt_cost, [0; 16]);
    // The optimiser must not find out that nobody looks at the result.
    let _ = std::hint::black_box(discarded);
}

/// What comparing with one stored hash gave.
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

fn check(password: &Password, stored: &str) -> Checked {
    let Some((algorithm, rest)) = stored.split_once('$') else {
        return Checked::UNREADABLE;
    };
    let plain = password.expose().as_bytes();
    match algorithm {
        "bcrypt_sha256" => check_bcrypt(sha256_hex(password).as_bytes(), rest),
        // Cuts at 72 bytes, as the bcrypt did that wrote the hash.
        "bcrypt" => check_bcrypt(plain, rest),
        "pbkdf2_sha256" => Checked::without_bcrypt(imported::pbkdf2_sha256(plain, rest)),
        "argon2" => Checked::without_bcrypt(imported::argon2(plain, rest)),
        "scrypt" => Checked::without_bcrypt(imported::scrypt(plain, rest)),
        _ => Checked::UNREADABLE,
    }
}

fn check_bcrypt(input: &[u8], stored: &str) -> Checked {
    let Ok(parts) = HashParts::from_str(stored) else {
        return Checked::UNREADABLE;
    };
    if parts.get_cost() > MAX_BCRYPT_COST {
        return Checked::UNREADABLE;
    }
    match bcrypt::verify(input, stored) {
        Ok(correct) => Checked { correct, bcrypt_cost: Some(parts.get_cost()) },
        Err(_) => Checked::UNREADABLE,
    }
}

/// 64 bytes, so that bcrypt takes all of them.
fn sha256_hex(password: &Password) -> String {
    base16(&Sha256::digest(password.expose().as_bytes()))
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const ASCII: &str = "correct horse";
    const UNICODE: &str = "Pässwörter sind schön 密码 🔑";
    /// 82 bytes, past the 72 that bcrypt takes.
    const LONG: &str = "01234567890123456789012345678901234567890123456789012345678901234567890123456789é";

    /// Written by Django 5.2.19 with bcrypt 5.0.0 and argon2-cffi 25.1.0, at small costs. That bcrypt refuses more than
    /// 72 bytes, so the long password was cut for it by hand.
    const VECTORS: [(&str, &str); 16] = [
        (ASCII, "bcrypt_sha256$$2b$04$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6"),
        (ASCII, "bcrypt$$2b$04$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi."),
        (ASCII, "pbkdf2_sha256$1000$5By61V7XgGTqtQX9JRyJhB$ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8="),
        (ASCII, "pbkdf2_sha256$1000$sält-with-ünicode$sXzR+43FyKv1Z80drS7W3Ueu/QIG8R9DDrsfnFXYFoA="),
        (
            ASCII,
            "argon2$argon2id$v=19$m=1024,t=2,p=2$OUdPaU51dWNDOWRJd2tGdzloeGVLSw$CaZyluXNsFBHkN191ADIJnIxIaHAGWePQPTUTaJrjCA",
        ),
        (
            ASCII,
            "scrypt$1024$lwJTzn3y5kTP7j0nNIlZmi$8$2$YvuD2QM+StPswTyl4OfdaR3Kwc3+NQE0NRZXBO+Z0+95+JHWF+4CTVQEZ2rao7nAYEdemqzKtIfYphW0IJf86Q==",
        ),
        (UNICODE, "bcrypt_sha256$$2b$04$FArE8ROU0DLxZWDnxVlBVuxt71rfEvBtrm5gG.oibs41Rt5Vu3Vda"),
        (UNICODE, "bcrypt$$2b$04$PLtaRs8DAvF9nFh6NMEBeeFvUhaIa3Ev1eN6ozaqax9dXkQWmUre2"),
        (UNICODE, "pbkdf2_sha256$1000$t2ZxPIwggSVJba8qdZmeu5$HMELhskpkhfIMgEd2PfbIEWte0HSlzLptjyO9uKSd20="),
        (
            UNICODE,
            "argon2$argon2id$v=19$m=1024,t=2,p=2$WE9WazVwV1JUSWV1cVBVNm14cUtQZg$KfMjyWuRcea51vAUoBKkgB9azmuTWyzowkmLn1Wugyk",
        ),
        (
            UNICODE,
            "scrypt$1024$yjo6pKMisieP2dst7XfrUn$8$2$pkP5SZMkePsn3mQJRW/2bhvjUhgE6/L+uVUOGEAxth4sYixzvrlEjj35fMzHDwLza3QWCa7CB6tHxpkINazMPg==",
        ),
        (LONG, "bcrypt_sha256$$2b$04$eN5zEHPAxKMiKwLc5DGWWueacLuZbND2f/5Y9wGkdEFQLZJVewae6"),
        (LONG, "bcrypt$$2b$04$K6MCVC.uiQM4b148jiJMbOFadeFRdSP8.iMo.Y2.ChxYAZTvTb08a"),
        (LONG, "pbkdf2_sha256$1000$iR4VWu5RcsdyFtrCi6JHTI$pCtq6YJLnIXCcsFtUgt4KSe7mbVnA6mJjF+b4GZZraA="),
        (
            LONG,
            "argon2$argon2id$v=19$m=1024,t=2,p=2$dllmTExMQ0tmOFVDNUJVd09HTXpuMg$n3cBzzZ9SBhSLkJ6kdMc38krBfvhhwMNEYla11a7VOA",
        ),
        (
            LONG,
            "scrypt$1024$noUfVFUVSXk0fo9RLZfiBJ$8$2$rpWy/fMhfAOXmeOOdD0cy4ACZ4Lyn0Uxmighu+y9ROzY6fKL9LubxlAVKt+F0MO13XO4LvLZlrDXYpELvhyGnA==",
        ),
    ];

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[test]
    fn what_django_wrote_verifies_and_other_passwords_do_not() {
        for (text, stored) in VECTORS {
            let expected =
                if stored.starts_with("bcrypt_sha256$") { Verified::Yes } else { Verified::YesUpgrade };
            assert_eq!(verify(&password(text), stored, 4), expected, "{stored}");
            assert_eq!(
                verify(&password(&text.replacen(['c', 'P', '0'], "x", 1)), stored, 4),
                Verified::No,
                "{stored}"
            );
            // The end counts too, except for plain bcrypt past its 72 bytes.
            let cut = text.len() > 72 && stored.starts_with("bcrypt$");
            let expected = if cut { Verified::YesUpgrade } else { Verified::No };
            assert_eq!(verify(&password(&format!("{text}!")), stored, 4), expected, "{stored}");
        }
    }

    #[test]
    fn what_django_writes_by_default_is_within_the_bounds() {
        for stored in [
            "pbkdf2_sha256$1000000$fcpEXOl2IsQA9r6yN1Pl98$hvNxoepciTn0KdkaXKlmzhMi0PsGr1/aKM0pn+TdZhY=",
            "argon2$argon2id$v=19$m=102400,t=2,p=8$VW8zMnpodVZxUGJQYnVyN0draHZBWg$yEnuWe3uKS42d+YTC7IvbEQ2tBOmxhr+CO1Pk6Agn3U",
            "scrypt$16384$hS82QDs6jq7HaScSPtNh5c$8$5$TbuH5XFyXDy1TDVUBWEi1/SKoyT33f7DMBTFt/NjQQ2sk76LCNDVWstF/42HMxO4kPveQqF9j8cVLKBaD4ZCzA==",
        ] {
            assert_eq!(verify(&password(ASCII), stored, 4), Verified::YesUpgrade, "{stored}");
        }
    }

    #[test]
    fn a_new_hash_has_djangos_form_and_a_salt_of_its_own() {
        for text in [ASCII, UNICODE, LONG] {
            let stored = hash(&password(text), 5).unwrap();
            assert!(stored.starts_with("bcrypt_sha256$$2b$05$") && stored.len() == 74, "{stored}");
            assert_ne!(stored, hash(&password(text), 5).unwrap());
            assert_eq!(verify(&password(text), &stored, 5), Verified::Yes);
            assert_eq!(verify(&password(&format!("{text}x")), &stored, 5), Verified::No);
        }
        assert!(matches!(hash(&password(ASCII), 3), Err(HashError::Failed(_))));
    }

    #[test]
    fn a_cheaper_bcrypt_is_upgraded_and_a_dearer_one_is_left() {
        let cost6 = "bcrypt_sha256$$2b$06$dZytczdLKoi65IvPPL3Hv.gJJN/uMYFdSSFF44uO1rbzd6GNa92Ne";
        let found = [5, 6, 7].map(|cost| verify(&password(ASCII), cost6, cost));
        assert_eq!(found, [Verified::Yes, Verified::Yes, Verified::YesUpgrade]);
    }

    #[test]
    fn unusable_unknown_and_malformed_hashes_match_nothing() {
        let too_long = format!("pbkdf2_sha256$1${}$", "x".repeat(MAX_STORED_BYTES));
        for stored in [
            "!OJqcSe3YeWH73c3NLbHeAJgkfuOg75cJakZlMlHv",
            "",
            "!",
            "$",
            "correct horse",
            "plain$correct horse",
            "md5$a$b",
            "$2b$04$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi.",
            "bcrypt_sha256$",
            "bcrypt_sha256$$2b$04$short",
            "bcrypt_sha256$$2b$99$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6",
            "bcrypt_sha256$$2b$31$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6",
            "bcrypt_sha256$$2b$03$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6",
            "bcrypt$$2b$04$ÄÄtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adf",
            &too_long,
        ] {
            assert_eq!(verify(&password(ASCII), stored, 4), Verified::No, "{stored}");
        }
    }

    #[test]
    fn a_bcrypt_past_the_highest_cost_is_not_run() {
        let of_cost = |cost| format!("$2b${cost}$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi.");
        assert_eq!(check_bcrypt(b"x", &of_cost("04")).bcrypt_cost, Some(4));
        assert_eq!(check_bcrypt(b"x", &of_cost("17")).bcrypt_cost, None);
    }

    #[test]
    fn a_no_takes_at_least_as_long_as_for_an_unknown_name() {
        const COST: u32 = 10;
        let time = |work: &dyn Fn()| {
            let start = Instant::now();
            work();
            start.elapsed()
        };
        let wrong = password("wrong horse");
        let unknown = (0..3).map(|_| time(&|| spend_equal_time(&wrong, COST))).min().unwrap();
        assert!(unknown > Duration::from_millis(5), "a bcrypt of cost 10 was not run: {unknown:?}");
        let dear = "bcrypt_sha256$$2b$31$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6";
        for stored in VECTORS.map(|(_, stored)| stored).into_iter().chain(["!", "", "md5$a$b", dear]) {
            let taken = time(&|| assert_eq!(verify(&wrong, stored, COST), Verified::No));
            // A quarter, because other work on the machine may have slowed down the measure above.
            assert!(taken * 4 > unknown, "{stored}: {taken:?} against {unknown:?}");
        }
    }
}
