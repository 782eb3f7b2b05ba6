//! The id of one movement of money, or of another operation that is done once. It is made before
//! the transaction, so that a COMMIT with an unknown outcome can be looked up by it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngExt;
use sha2::{Digest, Sha256};

use super::IdempotencyKey;

/// 128 bits: 48 of milliseconds since the epoch, big-endian, then 80 random ones. UUIDv7 (RFC 9562)
/// has the same layout for the same reason: new ids go to the end of the unique index, and not each
/// to another page of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId([u8; 16]);

impl OperationId {
    /// Generates an id. The random part comes from the thread's generator, which the operating
    /// system seeds: an id need not be secret, but must be unique at 20,000 a second on many nodes.
    pub fn generate() -> OperationId {
        // A clock before 1970 counts as the epoch. That only costs the order in the index.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        OperationId::new(since_epoch.as_millis(), rand::rng().random())
    }

    fn new(milliseconds: u128, random: u128) -> OperationId {
        // Shifting by 80 drops what does not fit into 48 bits, which happens from the year 10889.
        OperationId(((milliseconds << 80) | (random >> 48)).to_be_bytes())
    }

    /// Parses the id in a form, as [`OperationId::to_text`] wrote it. A form carries one, so that
    /// sending it twice is one operation.
    pub fn parse(text: &str) -> Option<OperationId> {
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)
            .map(|bits| OperationId(bits.to_be_bytes()))
    }

    /// Returns 32 hexadecimal digits, for a form.
    pub fn to_text(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Returns the id of the operation on one row within an operation on many rows. It is derived
    /// from its arguments, so that a repeated attempt computes the same id.
    pub fn of_row(seed: &[u8], row: i64) -> OperationId {
        let mut digest = Sha256::new();
        digest.update(seed);
        digest.update(row.to_be_bytes());
        OperationId::of_digest(digest)
    }

    /// Returns the id of the operation that undoes another one. There is one for each, so that no
    /// operation is undone twice.
    pub fn of_undo(undone: &OperationId) -> OperationId {
        let mut digest = Sha256::new();
        digest.update("undo");
        digest.update(undone.0);
        OperationId::of_digest(digest)
    }

    /// Returns the id of the operation that a user names by an `Idempotency-Key`. Keys of different
    /// users, and keys sent to different paths, are different operations.
    pub fn of_key(path: &str, user_id: i64, key: &IdempotencyKey) -> OperationId {
        let mut digest = Sha256::new();
        digest.update((path.len() as u64).to_be_bytes());
        digest.update(path);
        digest.update(user_id.to_be_bytes());
        digest.update(key.as_str());
        OperationId::of_digest(digest)
    }

    fn of_digest(digest: Sha256) -> OperationId {
        let whole: [u8; 32] = digest.finalize().into();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        OperationId(bytes)
    }

    /// Returns the bytes that are stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Writes 32 hexadecimal digits.
impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_id_is_six_bytes_of_time_and_ten_random_bytes() {
        let id = OperationId::new(0x0001_0203_0405, u128::from_be_bytes([9; 16]));
        assert_eq!(id.as_bytes(), &[0, 1, 2, 3, 4, 5, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        assert_eq!(id.to_string(), "00010203040509090909090909090909");
        assert_eq!(format!("{id:?}"), "OperationId(00010203040509090909090909090909)");
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let earlier = OperationId::new(1_700_000_000_000, u128::MAX);
        let later = OperationId::new(1_700_000_000_001, 0);
        assert!(earlier.as_bytes() < later.as_bytes());
    }

    #[test]
    fn the_id_of_a_key_depends_on_path_user_and_key() {
        let of = |path: &str, user: i64, key: &str| {
            OperationId::of_key(path, user, &IdempotencyKey::parse(key).unwrap())
        };
        assert_eq!(of("/auth-tokens/", 1, "k"), of("/auth-tokens/", 1, "k"));
        let others = [of("/auth-tokens/", 2, "k"), of("/auth-tokens/", 1, "j"), of("/auth-tokens", 1, "k")];
        assert!(others.iter().all(|other| *other != of("/auth-tokens/", 1, "k")));
    }

    #[test]
    fn a_generated_id_bears_the_time_and_is_unique() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let ids: HashSet<OperationId> = (0..10_000).map(|_| OperationId::generate()).collect();
        let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            let time = u128::from_be_bytes(*id.as_bytes()) >> 80;
            assert!((before..=after).contains(&time));
        }
    }
}
