//! Reads an answer with vectors as its bytes arrive. Its text is several times as large as its
//! numbers, and often tens of megabytes, so it is never in memory as a whole: only one vector's
//! text, and what is around the list of vectors.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

use super::{complaint, is_error, is_error_without_envelope, number_in};
use crate::domain::{Usage, has_more_values};
use crate::responder::bounds::VALUES_OF_AN_EVENT;
use crate::responder::{Failure, MOST_VECTOR_VALUES};

/// The longest text of one vector, in bytes.
const LONGEST_VECTOR: usize = 4 << 20;

/// The longest text around the list of vectors, in bytes.
const MOST_AROUND: usize = 64 << 10;

/// A vector, and the input that it is for.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Vector {
    /// The number of the input, counted from 0. `None` if the upstream does not say.
    pub(in super::super) index: Option<usize>,
    /// The numbers, all finite.
    pub(in super::super) values: Vec<f32>,
}

/// Where the reader is in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Outside the list of vectors.
    Around,
    /// In the list, before the first vector, after a vector, or after the comma that follows one.
    ListBegun,
    AfterVector,
    AfterComma,
    /// In the object of a vector.
    Vector,
}

/// Reads the vectors of one answer.
#[derive(Debug)]
pub(in super::super) struct VectorReader {
    place: Place,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// The text so far, without what is in the list of vectors.
    around: Vec<u8>,
    /// The text of the present vector so far.
    vector: Vec<u8>,
}

impl VectorReader {
    /// Makes a reader of an answer that has not begun.
    pub(in super::super) fn new() -> VectorReader {
        VectorReader {
            place: Place::Around,
            depth: 0,
            in_string: false,
            is_escaped: false,
            around: Vec::new(),
            vector: Vec::new(),
        }
    }

    /// Reads from the beginning of `bytes` up to the end of a vector, and returns it. `None` if all
    /// bytes are read and no vector has ended. The bytes that were read are taken off.
    ///
    /// # Errors
    /// [`Failure::NotAnAnswer`], [`Failure::Unreadable`] and [`Failure::TooLarge`].
    pub(in super::super) fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Vector>, Failure> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.place == Place::Vector {
                let end = self.end_of_vector(bytes)?;
                let taken = end.unwrap_or(bytes.len());
                if self.vector.len() + taken > LONGEST_VECTOR {
                    return Err(Failure::TooLarge);
                }
                self.vector.extend_from_slice(&bytes[..taken]);
                *bytes = &bytes[taken..];
                if end.is_some() {
                    self.place = Place::AfterVector;
                    return Ok(Some(self.parse_vector()?));
                }
            } else {
                self.take(*first)?;
                *bytes = rest;
            }
        }
        Ok(None)
    }

    /// Returns whether the object has ended, so that nothing can follow.
    pub(in super::super) fn has_ended(&self) -> bool {
        self.depth == 0 && self.around.last() == Some(&b'}')
    }

    /// Reads what is around the vectors, at the end of the answer. Returns the usage, if it is
    /// reported and plausible.
    ///
    /// # Errors
    /// The answer reports an error, or is not an answer with vectors, or not complete.
    pub(in super::super) fn end(&self) -> Result<Option<Usage>, Failure> {
        if self.depth > 0 {
            return Err(Failure::CutShort);
        }
        let around = String::from_utf8_lossy(&self.around);
        let around = around.trim_start_matches('\u{feff}').as_bytes();
        if around.is_empty() {
            return Err(Failure::CutShort);
        }
        if has_more_values(around, VALUES_OF_AN_EVENT) {
            return Err(Failure::Unreadable);
        }
        let envelope = parse_envelope(around).ok_or(Failure::Unreadable)?;
        if envelope.error.as_ref().is_some_and(is_error) {
            return Err(complaint(around).failure_in_answer());
        }
        match envelope.data {
            Some(_) => Ok(envelope.usage.as_ref().and_then(usage_of_inputs)),
            None if is_error_without_envelope(around) => Err(complaint(around).failure_in_answer()),
            None => Err(Failure::NotAnAnswer),
        }
    }

    /// Takes a byte outside of the vectors.
    fn take(&mut self, byte: u8) -> Result<(), Failure> {
        match self.place {
            Place::Around => self.take_around(byte),
            _ => self.take_in_list(byte),
        }
    }

    fn take_around(&mut self, byte: u8) -> Result<(), Failure> {
        if self.around.is_empty() {
            // A byte order mark may come first.
            match byte {
                b'{' | 0xEF => {}
                _ if byte.is_ascii_whitespace() => return Ok(()),
                _ => return Err(Failure::NotAnAnswer),
            }
        }
        let was_in_string = self.in_string;
        self.turn(byte)?;
        if self.around.len() >= MOST_AROUND {
            return Err(Failure::TooLarge);
        }
        if byte == b'[' && !was_in_string && self.depth == 2 && names_the_list(&self.around) {
            self.place = Place::ListBegun;
        }
        self.around.push(byte);
        Ok(())
    }

    fn take_in_list(&mut self, byte: u8) -> Result<(), Failure> {
        self.place = match (byte, self.place) {
            (b' ' | b'\n' | b'\r' | b'\t', place) => place,
            (b',', Place::AfterVector) => Place::AfterComma,
            (b'{', Place::ListBegun | Place::AfterComma) => {
                self.vector.clear();
                self.vector.push(byte);
                self.turn(byte)?;
                Place::Vector
            }
            (b']', Place::ListBegun | Place::AfterVector) => {
                self.turn(byte)?;
                self.around.push(byte);
                Place::Around
            }
            _ => return Err(Failure::Unreadable),
        };
        Ok(())
    }

    /// Returns the position after the end of the present vector, if it is in these bytes.
    fn end_of_vector(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        for (at, byte) in bytes.iter().enumerate() {
            self.turn(*byte)?;
            // The list is inside the object of the answer.
            if self.depth == 2 {
                return Ok(Some(at + 1));
            }
        }
        Ok(None)
    }

    /// Notes what a byte says of the structure.
    fn turn(&mut self, byte: u8) -> Result<(), Failure> {
        match (self.in_string, byte) {
            (true, _) if self.is_escaped => self.is_escaped = false,
            (true, b'\\') => self.is_escaped = true,
            (_, b'"') => self.in_string = !self.in_string,
            (false, b'{' | b'[') => self.depth += 1,
            (false, b'}' | b']') => self.depth = self.depth.checked_sub(1).ok_or(Failure::Unreadable)?,
            _ => {}
        }
        Ok(())
    }

    fn parse_vector(&self) -> Result<Vector, Failure> {
        #[derive(serde::Deserialize)]
        struct Object {
            index: Option<usize>,
            embedding: Numbers,
        }
        let object: Object = serde_json::from_slice(&self.vector).map_err(|_| Failure::Unreadable)?;
        Ok(Vector { index: object.index, values: object.embedding.0 })
    }
}

/// Returns whether a text ends with the name of the list of vectors, so that the list follows.
fn names_the_list(text: &[u8]) -> bool {
    let name = text.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
    let before = name.and_then(|name| name.strip_suffix(b"\"data\""));
    before.is_some_and(|before| before.last() != Some(&b'\\'))
}

/// What is around the list of vectors, which is empty here.
#[derive(serde::Deserialize)]
struct Envelope<U> {
    data: Option<IgnoredAny>,
    usage: Option<U>,
    error: Option<Value>,
}

fn parse_envelope(text: &[u8]) -> Option<Envelope<Value>> {
    let with_usage = serde_json::from_slice::<Envelope<Value>>(text).ok();
    with_usage.or_else(|| {
        // A number that is out of range in the usage must not lose the answer.
        let envelope: Envelope<IgnoredAny> = serde_json::from_slice(text).ok()?;
        Some(Envelope { data: envelope.data, usage: None, error: envelope.error })
    })
}

/// Returns the usage if its number is plausible. Embeddings have no tokens of an answer. Some
/// upstreams fill only one of the numbers, and some none: an input has at least one token.
fn usage_of_inputs(usage: &Value) -> Option<Usage> {
    let names = ["prompt_tokens", "input_tokens", "total_tokens"];
    let numbers: Vec<i64> = names.iter().filter_map(|name| number_in(usage, &[name])).collect();
    let prompt = numbers.iter().copied().max().filter(|prompt| *prompt > 0)?;
    // A negative number shows that the others mean nothing either.
    if numbers.iter().all(|number| *number >= 0) { Usage::reported(prompt, 0) } else { None }
}

/// The numbers of a vector: a list, or the base64 of 32-bit floats, little-endian.
struct Numbers(Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Numbers, D::Error> {
        deserializer.deserialize_any(NumbersVisitor).map(Numbers)
    }
}

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or their base64 form")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<f32>, A::Error> {
        let mut values = Vec::new();
        while let Some(number) = list.next_element::<f64>()? {
            if values.len() == MOST_VECTOR_VALUES {
                return Err(A::Error::custom("too many numbers"));
            }
            values.push(number as f32);
        }
        finite(values)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<f32>, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        let (numbers, rest) = bytes.as_chunks::<{ size_of::<f32>() }>();
        if !rest.is_empty() {
            return Err(E::custom("no whole numbers"));
        }
        finite(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// Returns a vector if there is one and all its numbers are finite.
fn finite<E: serde::de::Error>(values: Vec<f32>) -> Result<Vec<f32>, E> {
    let is_sound = !values.is_empty() && values.iter().all(|value| value.is_finite());
    if is_sound { Ok(values) } else { Err(E::custom("no vector of finite numbers")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    type Whole = (Vec<Vector>, Option<Usage>);

    /// Reads an answer that arrives in pieces of this many bytes.
    fn read_by(text: &str, piece: usize) -> Result<Whole, Failure> {
        let mut reader = VectorReader::new();
        let mut vectors = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            let mut bytes = bytes;
            while let Some(vector) = reader.read(&mut bytes)? {
                vectors.push(vector);
            }
            assert_eq!(bytes, b"", "all bytes must be read");
        }
        Ok((vectors, reader.end()?))
    }

    fn read(text: &str) -> Result<Whole, Failure> {
        let whole = read_by(text, usize::MAX);
        for piece in [1, 2, 3, 7] {
            assert_eq!(read_by(text, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn vector(index: usize, values: &[f32]) -> Vector {
        Vector { index: Some(index), values: values.to_vec() }
    }

    #[test]
    fn vectors_are_read_as_numbers_and_as_base64() {
        let usage = json!({ "prompt_tokens": 8, "total_tokens": 8 });
        let base64 = STANDARD.encode([0.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat());
        let data = json!([{ "object": "embedding", "index": 0, "embedding": [0.5, -2, 1e-10] },
            { "embedding": base64, "index": 1, "object": "embedding" }]);
        let answer = json!({ "object": "list", "data": data, "model": "m", "usage": usage });
        let expected = vec![vector(0, &[0.5, -2.0, 1e-10]), vector(1, &[0.5, -2.0])];
        let whole = Ok((expected, Usage::reported(8, 0)));
        assert_eq!(read(&answer.to_string()), whole);
        assert_eq!(read(&format!("\u{feff}\n{}\n", serde_json::to_string_pretty(&answer).unwrap())), whole);
    }

    #[test]
    fn an_index_and_the_usage_may_be_missing() {
        let text = r#" {"data" : [ {"embedding":[1]} , {"embedding":[2]} ]} "#;
        let values = |value: f32| Vector { index: None, values: vec![value] };
        assert_eq!(read(text), Ok((vec![values(1.0), values(2.0)], None)));
        for (usage, tokens) in [
            (r#"{"total_tokens":7}"#, Some(7)),
            (r#"{"prompt_tokens":null,"total_tokens":7.0}"#, Some(7)),
            (r#"{"prompt_tokens":-1}"#, None),
            (r#"{"prompt_tokens":1e999}"#, None),
            ("null", None),
        ] {
            let text = format!(r#"{{"usage":{usage},"data":[{{"embedding":[1],"index":0}}]}}"#);
            let reported = tokens.and_then(|tokens| Usage::reported(tokens, 0));
            assert_eq!(read(&text), Ok((vec![vector(0, &[1.0])], reported)), "{usage}");
        }
    }

    #[test]
    fn a_list_of_another_name_is_not_taken_for_the_vectors() {
        let text = r#"{"x":{"data":[{"embedding":[3]}]},"y\"data":[1],"a":"\"data\":[","data":[{"index":0,"embedding":[1]}]}"#;
        assert_eq!(read(text), Ok((vec![vector(0, &[1.0])], None)));
    }

    #[test]
    fn damaged_vectors_are_unreadable() {
        for element in [
            r#"{"index":0,"embedding":[1,NaN]}"#,
            r#"{"index":0,"embedding":[1,null]}"#,
            r#"{"index":0,"embedding":[1e39]}"#,
            r#"{"index":0,"embedding":[1e999]}"#,
            r#"{"index":0,"embedding":[]}"#,
            r#"{"index":0,"embedding":[[1]]}"#,
            r#"{"index":0,"embedding":["1"]}"#,
            r#"{"index":0,"embedding":"AAAA"}"#,
            r#"{"index":0,"embedding":"AADAfw=="}"#,
            r#"{"index":0,"embedding":"!"}"#,
            r#"{"index":-1,"embedding":[1]}"#,
            r#"{"index":"a","embedding":[1]}"#,
            r#"{"index":0,"embedding":[1],"embedding":[2]}"#,
            r#"{"index":0}"#,
            r#"{"index":0,"embedding":[1,]}"#,
            "[1]",
            "1",
            "null",
            r#"{"index":0,"embedding":[1]} {"index":1,"embedding":[1]}"#,
            r#"{"index":0,"embedding":[1]},"#,
            r#",{"index":0,"embedding":[1]}"#,
        ] {
            let text = format!(r#"{{"data":[{element}]}}"#);
            assert_eq!(read(&text), Err(Failure::Unreadable), "{element}");
        }
    }

    #[test]
    fn a_text_that_is_no_answer_has_its_failure() {
        for (text, failure) in [
            ("", Failure::CutShort),
            (" ", Failure::CutShort),
            (r#"{"data":["#, Failure::CutShort),
            (r#"{"data":[{"embedding":[1"#, Failure::CutShort),
            (r#"{"data":[{"embedding":[1],"index":0}]"#, Failure::CutShort),
            ("[]", Failure::NotAnAnswer),
            ("<html>", Failure::NotAnAnswer),
            (r#"{"object":"list"}"#, Failure::NotAnAnswer),
            (r#"{"data":null}"#, Failure::NotAnAnswer),
            (r#"{"error":{"message":"cuda out of memory"}}"#, Failure::ErrorInAnswer),
            (r#"{"data":[],"error":{"message":"input is too long"}}"#, Failure::ContextTooLong),
            (r#"{"object":"error","message":"no"}"#, Failure::ErrorInAnswer),
            (r#"{"data":[]} x"#, Failure::Unreadable),
            (r#"{"data":[]}}"#, Failure::Unreadable),
            (r#"{"data":[],"data":[]}"#, Failure::Unreadable),
        ] {
            assert_eq!(read(text), Err(failure), "{text}");
        }
    }

    #[test]
    fn texts_that_never_end_are_not_kept() {
        let around = format!(r#"{{"model":"{}"#, "x".repeat(MOST_AROUND));
        assert_eq!(read_by(&around, 1000), Err(Failure::TooLarge));
        let vector = format!(r#"{{"data":[{{"x":"{}"#, "x".repeat(LONGEST_VECTOR));
        assert_eq!(read_by(&vector, 1000), Err(Failure::TooLarge));
        let values = format!(r#"{{"x":[{}0],"data":[]}}"#, "0,".repeat(VALUES_OF_AN_EVENT));
        assert_eq!(read_by(&values, 1000), Err(Failure::Unreadable));
    }

    #[test]
    fn an_answer_has_ended_after_its_last_bracket() {
        let mut reader = VectorReader::new();
        let mut bytes: &[u8] = br#"{"data":[{"embedding":[1]}],"usage":{}"#;
        assert!(reader.read(&mut bytes).unwrap().is_some());
        assert_eq!(reader.read(&mut bytes), Ok(None));
        assert!(!reader.has_ended());
        assert_eq!(reader.read(&mut &b"}"[..]), Ok(None));
        assert!(reader.has_ended());
    }
}
