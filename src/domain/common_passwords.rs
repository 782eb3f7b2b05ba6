//! The most common passwords: Django's list, embedded (`vendor/common-passwords/README.md`).

use std::collections::HashSet;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

const PACKED: &[u8] = include_bytes!("../../vendor/common-passwords/common-passwords.txt.gz");

static UNPACKED: LazyLock<String> = LazyLock::new(|| unpack(PACKED));
static ENTRIES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| UNPACKED.lines().map(str::trim).collect());

/// Returns whether a password is on the list, compared as Django's `CommonPasswordValidator` does:
/// lower-cased and without white space around it. The first call unpacks the list, which takes some
/// milliseconds.
pub(super) fn is_common(password: &str) -> bool {
    ENTRIES.contains(password.to_lowercase().trim())
}

/// Unpacks the list. A list that cannot be unpacked counts as empty: it is part of the binary, so
/// the unit test below would have failed, and a user who registers could do nothing about it.
fn unpack(packed: &[u8]) -> String {
    let mut text = String::new();
    match GzDecoder::new(packed).read_to_string(&mut text) {
        Ok(_) => text,
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_list_unpacks() {
        assert!(ENTRIES.len() > 10_000, "{}", ENTRIES.len());
    }

    #[test]
    fn case_and_surrounding_space_make_no_difference() {
        assert!(is_common("password1"));
        assert!(is_common("  PassWord1\t"));
        assert!(!is_common("pass word1 of mine"));
        assert!(!is_common(""));
    }

    #[test]
    fn broken_data_is_an_empty_list_and_no_panic() {
        assert_eq!(unpack(b"not gzip"), "");
        assert_eq!(unpack(&PACKED[..PACKED.len() / 2]), "");
    }
}
