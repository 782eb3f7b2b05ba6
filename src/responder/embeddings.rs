//! Embeddings: the vectors that a model makes of texts.

use std::fmt;

use crate::throttle::MemoryShare;

/// The vectors of an answer, one for each input, all of the same length. They are never copied,
/// because they may be large.
pub struct Embeddings {
    dimensions: usize,
    /// The vectors, one after the other.
    values: Vec<f32>,
    /// The share of the memory budget that they take.
    memory: Option<MemoryShare>,
}

/// The most numbers in all vectors of one answer: 32 MiB. A thousand vectors of 3,072 dimensions
/// have less than half.
pub const MOST_VECTOR_VALUES: usize = 8 << 20;

/// The bytes of a number.
const A_VALUE: usize = size_of::<f32>();

impl Embeddings {
    /// Makes embeddings of the numbers of all vectors. `None` if they are not whole vectors.
    pub fn new(dimensions: usize, values: Vec<f32>, memory: Option<MemoryShare>) -> Option<Embeddings> {
        let is_whole = dimensions > 0 && !values.is_empty() && values.len().is_multiple_of(dimensions);
        is_whole.then_some(Embeddings { dimensions, values, memory })
    }

    /// Restores stored embeddings. `None` if these bytes are not whole vectors.
    pub fn stored(dimensions: usize, bytes: &[u8]) -> Option<Embeddings> {
        let (values, rest) = bytes.as_chunks::<A_VALUE>();
        let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Embeddings::new(dimensions, values, None).filter(|_| rest.is_empty())
    }

    /// Returns the numbers of each vector, little-endian, as they are stored. `None` if they take
    /// more than `most` bytes.
    pub fn to_bytes(&self, most: usize) -> Option<Vec<u8>> {
        let is_small = self.values.len().saturating_mul(A_VALUE) <= most;
        is_small.then(|| bytes_of(&self.values))
    }

    /// Returns the length of each vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns the number of vectors.
    pub fn count(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// Returns the vector with this number, counted from 0.
    pub fn vector(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(self.dimensions)?;
        self.values.get(start..start.checked_add(self.dimensions)?)
    }

    /// Returns the share of the memory budget that the vectors take, if they were not stored.
    pub fn memory(&self) -> Option<&MemoryShare> {
        self.memory.as_ref()
    }
}

/// Returns numbers as bytes, little-endian, as the protocol's base64 form has them.
pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl PartialEq for Embeddings {
    fn eq(&self, other: &Embeddings) -> bool {
        (self.dimensions, &self.values) == (other.dimensions, &other.values)
    }
}

/// Leaves out the numbers, which may be many.
impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings")
            .field("count", &self.count())
            .field("dimensions", &self.dimensions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_embeddings_are_the_same_again() {
        let embeddings = Embeddings::new(2, vec![0.5, -1.25, 3.4e38, f32::MIN_POSITIVE], None).unwrap();
        let bytes = embeddings.to_bytes(16).unwrap();
        assert_eq!(&bytes[..4], [0, 0, 0, 0x3F]);
        assert_eq!(Embeddings::stored(2, &bytes).unwrap(), embeddings);
        assert_eq!(embeddings.to_bytes(15), None);
        assert_eq!((embeddings.count(), embeddings.vector(1)), (2, Some(&[3.4e38, f32::MIN_POSITIVE][..])));
        assert_eq!(embeddings.vector(2), None);
    }

    #[test]
    fn only_whole_vectors_are_embeddings() {
        assert!(Embeddings::new(2, vec![0.5; 3], None).is_none());
        assert!(Embeddings::new(0, vec![0.5; 3], None).is_none());
        assert!(Embeddings::new(1, vec![], None).is_none());
        assert!(Embeddings::stored(1, &[0; 7]).is_none());
    }
}
