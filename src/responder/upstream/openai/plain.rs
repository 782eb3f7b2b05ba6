//! The fast way to read a part that is only text, as nearly all parts are, the usual end of an
//! answer, and its usage. It takes a tenth of the time of the lenient parser, which builds a value
//! for each field. Whatever is unusual is left to that parser, so both give the same result.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Part, Said, storable};
use crate::domain::{Usage, has_more_values};
use crate::responder::bounds::VALUES_OF_AN_EVENT;
use crate::responder::{Delta, FinishReason, Piece};

/// A chunk with one choice, or with the usage alone. Everything that is `()` must be `null` or
/// absent.
#[derive(serde::Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: AtMostOne<Object<Choice<'a>>>,
    usage: Option<Object<Counted>>,
    #[serde(rename = "error")]
    _error: Option<()>,
    #[serde(rename = "x_groq")]
    _x_groq: Option<()>,
    #[serde(rename = "timings")]
    _timings: Option<()>,
}

#[derive(serde::Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    delta: Object<Text<'a>>,
    #[serde(rename = "message")]
    _message: Option<()>,
    #[serde(rename = "text")]
    _text: Option<()>,
    #[serde(borrow)]
    finish_reason: Option<&'a str>,
    #[serde(rename = "stop_reason")]
    _stop_reason: Option<()>,
    #[serde(rename = "matched_stop")]
    _matched_stop: Option<()>,
    #[serde(rename = "logprobs")]
    _logprobs: Option<()>,
    #[serde(rename = "usage")]
    _usage: Option<()>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Text<'a> {
    #[serde(borrow, default)]
    content: Cow<'a, str>,
    // A number, for instance, may be one that the lenient parser does not accept.
    #[serde(borrow, rename = "role")]
    _role: Option<&'a str>,
    #[serde(rename = "refusal")]
    _refusal: Option<()>,
    #[serde(rename = "tool_calls")]
    _tool_calls: Option<()>,
    #[serde(rename = "function_call")]
    _function_call: Option<()>,
    #[serde(rename = "reasoning")]
    _reasoning: Option<()>,
    #[serde(rename = "reasoning_content")]
    _reasoning_content: Option<()>,
}

/// The usage of an upstream that reports no details.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
}

/// A list with one value or none.
struct AtMostOne<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AtMostOne<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = AtMostOne<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list with at most one value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<AtMostOne<T>, A::Error> {
        // The parser rejects a second value, as it is left over.
        values.next_element().map(AtMostOne)
    }
}

/// A value that is an object. By itself, serde takes a list for one, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

/// Reads a chunk that is only text, or the usual end, or the usage. Returns `None` for any other.
pub(super) fn read(data: &[u8]) -> Option<Said> {
    if has_more_values(data, VALUES_OF_AN_EVENT) {
        return None;
    }
    let Object(chunk) = serde_json::from_slice::<Object<Chunk<'_>>>(data).ok()?;
    let usage = match chunk.usage {
        Some(Object(counted)) => Some(counted.usage()?),
        None => None,
    };
    let Some(Object(choice)) = chunk.choices.0 else {
        return usage.is_some().then(|| Said { usage, ..Said::default() });
    };
    let Choice { index, delta: Object(text), finish_reason, .. } = choice;
    let finish_reason = match finish_reason {
        None => None,
        Some("stop") => Some(FinishReason::Stop),
        Some("length") => Some(FinishReason::Length),
        Some(_) => return None,
    };
    let delta = Delta { text: storable(text.content.into_owned()), ..Delta::default() };
    let choice = usize::try_from(index.unwrap_or(0)).ok()?;
    let piece = Piece { choice, delta, finish_reason, ..Piece::default() };
    let parts = if piece.is_empty() { Vec::new() } else { vec![Part { piece, is_whole: false }] };
    Some(Said { parts, usage, ..Said::default() })
}

impl Counted {
    /// Returns the usage. `None` if the numbers leave something to be explained.
    fn usage(&self) -> Option<Usage> {
        let (prompt, completion) = (i64::from(self.prompt_tokens), i64::from(self.completion_tokens));
        if i64::from(self.total_tokens) != prompt + completion {
            return None;
        }
        Usage::reported(prompt, completion)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read_chunk;
    use super::read;

    const CHUNK: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}],"usage":null}"#;

    #[test]
    fn a_part_that_is_text_is_read_in_the_fast_way() {
        for chunk in [
            CHUNK,
            r#"{"choices":[{"delta":{"content":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"a"},"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":16,"total_tokens":23}}"#,
            r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":"a","refusal":null,"tool_calls":null}}],"error":null}"#,
            r#"{"choices":[{"index":3,"delta":{"content":"\ud83d\ude00 \u0000 \" ü"},"logprobs":null}],"more":[1]}"#,
        ] {
            let said = read(chunk.as_bytes()).unwrap_or_else(|| panic!("{chunk} is not read"));
            assert_eq!(Ok(said), read_chunk(chunk.as_bytes()), "{chunk}");
        }
    }

    #[test]
    fn whatever_is_unusual_is_left_to_the_lenient_parser() {
        for chunk in [
            "",
            "[]",
            r#"{"choices":[]}"#,
            r#"{"choices":[null]}"#,
            r#"{"choices":[[0,{"content":"a"}]]}"#,
            r#"{"choices":[{"delta":["a"]}]}"#,
            r#"{"choices":[{"delta":{"role":1e999,"content":"a"}}]}"#,
            r#"[[{"delta":{"content":"a"}}]]"#,
            r#"{"choices":[{"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#,
            r#"{"choices":[{"delta":{"content":["a"]}}]}"#,
            r#"{"choices":[{"delta":{"content":null}}]}"#,
            r#"{"choices":[{"delta":{"content":"a","audio":{}}}]}"#,
            r#"{"choices":[{"delta":{"content":"a","reasoning":"b"}}]}"#,
            r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"STOP"}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"error"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":16,"total_tokens":24}}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4000000000,"total_tokens":4000000007}}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":16}}"#,
            r#"{"choices":[],"usage":[7,16,23]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":16,"total_tokens":23,"reasoning_tokens":3}}"#,
            r#"{"choices":[{"delta":{"content":"a"},"usage":{}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"message":{"content":"a"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"text":"a"}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"stop_reason":"
"}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"matched_stop":2}]}"#,
            r#"{"choices":[{"index":"0","delta":{"content":"a"}}]}"#,
            r#"{"choices":[{"index":-1,"delta":{"content":"a"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":"a"}}],"error":{"message":"no"}}"#,
            r#"{"choices":[{"delta":{"content":"a"}}]} {}"#,
        ] {
            assert_eq!(read(chunk.as_bytes()), None, "{chunk}");
        }
        let many = format!(r#"{{"choices":[{{"delta":{{"content":"a"}}}}],"x":[{}1]}}"#, "1,".repeat(10_000));
        assert_eq!(read(many.as_bytes()), None);
    }

    proptest! {
        /// Whatever the fast way reads, the lenient parser reads alike.
        #[test]
        fn both_ways_give_the_same_result(
            of_delta in proptest::collection::vec(prop_oneof![
                Just(r#""content":"a""#), Just(r#""content":"\u00e4\n""#), Just(r#""content":null"#), Just(r#""content":"\u0000""#),
                Just(r#""content":"\udbfc\udcab""#), Just(r#""content":"\ude00""#), Just(r#""role":"assistant""#), Just(r#""role":{}"#),
                Just(r#""refusal":null"#), Just(r#""tool_calls":[]"#), Just(r#""reasoning":"x""#), Just(r#""more":1"#),
            ], 0..3),
            of_choice in proptest::collection::vec(prop_oneof![
                Just(r#""index":0"#), Just(r#""index":null"#), Just(r#""index":1.0"#), Just(r#""finish_reason":null"#),
                Just(r#""finish_reason":"stop""#), Just(r#""finish_reason":"length""#), Just(r#""finish_reason":"Stop""#), Just(r#""logprobs":null"#), Just(r#""text":"t""#), Just(r#""message":{"content":"m"}"#),
                Just(r#""delta":null"#), Just(r#""usage":null"#),
            ], 0..3),
            has_choice: bool,
            of_chunk in proptest::collection::vec(prop_oneof![
                Just(r#""usage":null"#), Just(r#""usage":{"total_tokens":1}"#), Just(r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#),
                Just(r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9}"#), Just(r#""error":null"#), Just(r#""error":false"#),
                Just(r#""error":"no""#), Just(r#""choices":[]"#), Just(r#""id":"x""#), Just(r#""x_groq":null"#), Just(r#""timings":{}"#),
            ], 0..3),
        ) {
            let delta = format!(r#""delta":{{{}}}"#, of_delta.join(","));
            let choice = [vec![delta.as_str()], of_choice].concat().join(",");
            let choices = match has_choice {
                true => format!(r#""choices":[{{{choice}}}]"#),
                false => r#""choices":[]"#.to_owned(),
            };
            let chunk = [vec![choices.as_str()], of_chunk].concat().join(",");
            let chunk = format!("{{{chunk}}}");
            if let Some(said) = read(chunk.as_bytes()) {
                prop_assert_eq!(Ok(said), read_chunk(chunk.as_bytes()), "{}", chunk);
            }
        }
    }
}
