//! The form in which names are compared.

use unicode_normalization::UnicodeNormalization;

/// Returns the form in which two names are compared: NFKC, lower-cased, NFKC again (lower-casing
/// can leave a sequence that composes). It is stable: the canonical form of a canonical form is
/// itself.
///
/// Each character is lower-cased separately, and the final sigma becomes a common one:
/// `str::to_lowercase` chooses between the two by the letters around it. Then `ΟΔΟΣ` and `οδοσ`
/// would be two names.
pub fn canonical_of(name: &str) -> String {
    let lower = name.nfkc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c });
    lower.nfkc().collect()
}
