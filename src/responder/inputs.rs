//! Texts that a model reads as they are, not as a conversation: the prompts of completions, and
//! what embeddings are made of.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::domain::estimate;

/// Texts, or their tokens, in the form in which the client gave them.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// The tokens of one text.
    Tokens(Vec<u32>),
    /// The tokens of several texts.
    TokenLists(Vec<Vec<u32>>),
}

/// The most inputs of one request.
pub const MOST_INPUTS: usize = 2048;

/// Tokens that a model may add to each input: its beginning, its end, and what separates them.
const AROUND_AN_INPUT: i64 = 8;

/// The characters of an excerpt.
const MOST_OF_AN_EXCERPT: usize = 200;

impl Inputs {
    /// Returns the number of inputs.
    pub fn count(&self) -> usize {
        match self {
            Inputs::Text(_) | Inputs::Tokens(_) => 1,
            Inputs::Texts(texts) => texts.len(),
            Inputs::TokenLists(lists) => lists.len(),
        }
    }

    /// Returns whether an input is empty, or there is none.
    pub fn has_empty(&self) -> bool {
        match self {
            Inputs::Text(text) => text.is_empty(),
            Inputs::Tokens(tokens) => tokens.is_empty(),
            Inputs::Texts(texts) => texts.is_empty() || texts.iter().any(String::is_empty),
            Inputs::TokenLists(lists) => lists.is_empty() || lists.iter().any(Vec::is_empty),
        }
    }

    /// Returns an upper bound of the tokens: no token is shorter than a byte.
    pub fn token_bound(&self) -> i64 {
        let around = number(self.count()).saturating_mul(AROUND_AN_INPUT);
        around.saturating_add(number(self.bytes() + self.tokens()))
    }

    /// Estimates the tokens, for when the upstream reports no usage.
    pub fn token_estimate(&self) -> i64 {
        estimate(number(self.bytes())).saturating_add(number(self.tokens()))
    }

    /// Returns what lists of chats show: the beginning of the first text, or the number of tokens.
    pub fn excerpt(&self) -> String {
        match (self.text(0), self.tokens()) {
            (Some(text), _) if text.trim().is_empty() => "(no text)".to_owned(),
            (Some(text), _) => text.chars().take(MOST_OF_AN_EXCERPT).collect(),
            (None, 1) => "1 token".to_owned(),
            (None, tokens) => format!("{} tokens", with_commas(tokens)),
        }
    }

    /// Returns the text with this number, counted from 0. `None` for tokens.
    pub fn text(&self, index: usize) -> Option<&str> {
        match self {
            Inputs::Text(text) => Some(text.as_str()).filter(|_| index == 0),
            Inputs::Texts(texts) => texts.get(index).map(String::as_str),
            Inputs::Tokens(_) | Inputs::TokenLists(_) => None,
        }
    }

    /// Returns the bytes of all texts.
    fn bytes(&self) -> usize {
        match self {
            Inputs::Text(text) => text.len(),
            Inputs::Texts(texts) => texts.iter().map(String::len).sum(),
            Inputs::Tokens(_) | Inputs::TokenLists(_) => 0,
        }
    }

    /// Returns the number of tokens that were given as such.
    fn tokens(&self) -> usize {
        match self {
            Inputs::Tokens(tokens) => tokens.len(),
            Inputs::TokenLists(lists) => lists.iter().map(Vec::len).sum(),
            Inputs::Text(_) | Inputs::Texts(_) => 0,
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Inputs::Text(text) => text.serialize(serializer),
            Inputs::Texts(texts) => texts.serialize(serializer),
            Inputs::Tokens(tokens) => tokens.serialize(serializer),
            Inputs::TokenLists(lists) => lists.serialize(serializer),
        }
    }
}

/// What a client gave as inputs. `None` if it is neither texts nor tokens. Tokens take four bytes
/// each, and not the many of a JSON value. Of more than [`MOST_INPUTS`] inputs only one more is
/// kept, by which the caller sees that there are too many.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenInputs(pub Option<Inputs>);

impl<'de> Deserialize<'de> for GivenInputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GivenInputs, D::Error> {
        deserializer.deserialize_any(InputsVisitor).map(GivenInputs)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Option<Inputs>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Inputs>, E> {
        Ok(Some(Inputs::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Inputs>, A::Error> {
        let mut inputs = match list.next_element::<Element>()? {
            None => return Ok(Some(Inputs::Texts(Vec::new()))),
            Some(first) => first.alone(),
        };
        while let Some(next) = list.next_element::<Element>()? {
            match (&mut inputs, next) {
                (Some(Inputs::Texts(texts)), Element::Text(text)) => keep(texts, text),
                (Some(Inputs::Tokens(tokens)), Element::Token(token)) => tokens.push(token),
                (Some(Inputs::TokenLists(lists)), Element::Tokens(tokens)) => keep(lists, tokens),
                _ => inputs = None,
            }
        }
        if let Some(Inputs::Tokens(tokens)) = &mut inputs {
            tokens.shrink_to_fit();
        }
        Ok(inputs)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Inputs>, A::Error> {
        skip(map).map(|()| None)
    }

    fn visit_unit<E>(self) -> Result<Option<Inputs>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<Inputs>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<Inputs>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<Inputs>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Inputs>, E> {
        Ok(None)
    }
}

fn keep<T>(inputs: &mut Vec<T>, next: T) {
    if inputs.len() <= MOST_INPUTS {
        inputs.push(next);
    }
}

fn skip<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// An element of a list of inputs.
enum Element {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
    Other,
}

impl Element {
    /// Returns inputs of which this is the first.
    fn alone(self) -> Option<Inputs> {
        match self {
            Element::Text(text) => Some(Inputs::Texts(vec![text])),
            Element::Token(token) => Some(Inputs::Tokens(vec![token])),
            Element::Tokens(tokens) => Some(Inputs::TokenLists(vec![tokens])),
            Element::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, token: u64) -> Result<Element, E> {
        Ok(u32::try_from(token).map_or(Element::Other, Element::Token))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
        let mut tokens = Some(Vec::new());
        while let Some(next) = list.next_element::<Element>()? {
            match (&mut tokens, next) {
                (Some(tokens), Element::Token(token)) => tokens.push(token),
                _ => tokens = None,
            }
        }
        Ok(tokens.map_or(Element::Other, |mut tokens: Vec<u32>| {
            tokens.shrink_to_fit();
            Element::Tokens(tokens)
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
        skip(map).map(|()| Element::Other)
    }

    fn visit_unit<E>(self) -> Result<Element, E> {
        Ok(Element::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Element, E> {
        Ok(Element::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Element, E> {
        Ok(Element::Other)
    }

    /// A whole number may be written as `7.0`.
    fn visit_f64<E>(self, token: f64) -> Result<Element, E> {
        let is_token = token.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&token);
        Ok(if is_token { Element::Token(token as u32) } else { Element::Other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &serde_json::Value) -> Option<Inputs> {
        serde_json::from_str::<GivenInputs>(&value.to_string()).unwrap().0
    }

    #[test]
    fn each_form_of_an_input_is_the_same_after_parsing() {
        for (value, count, bound, estimate) in [
            (json!("hello"), 1, 8 + 5, 2),
            (json!(["hello", "you"]), 2, 16 + 8, 2),
            (json!([7, 100_257]), 1, 8 + 2, 2),
            (json!([[1, 2, 3], [4]]), 2, 16 + 4, 4),
        ] {
            let inputs = parse(&value).unwrap();
            assert_eq!(json!(inputs), value);
            assert_eq!(
                (inputs.count(), inputs.token_bound(), inputs.token_estimate()),
                (count, bound, estimate),
                "{value}"
            );
            assert!(!inputs.has_empty());
        }
    }

    #[test]
    fn a_token_may_be_written_with_a_fraction_of_zero() {
        let inputs = serde_json::from_str::<GivenInputs>("[[7.0, 8], [4294967295.0]]").unwrap().0;
        assert_eq!(inputs, Some(Inputs::TokenLists(vec![vec![7, 8], vec![u32::MAX]])));
        for other in ["[-1.0]", "[4294967296.0]", "[1e300]", "[0.5]"] {
            assert_eq!(serde_json::from_str::<GivenInputs>(other).unwrap().0, None, "{other}");
        }
    }

    #[test]
    fn what_is_neither_text_nor_tokens_is_rejected() {
        for value in [
            json!(null),
            json!(7),
            json!({ "a": 1 }),
            json!(["a", 1]),
            json!([1, "a"]),
            json!([[1], "a"]),
            json!([["a"]]),
            json!([-1]),
            json!([1.5]),
            json!([4_294_967_296_u64]),
            json!([null]),
            json!([[1, [2]], {}]),
            json!(true),
        ] {
            assert_eq!(parse(&value), None, "{value}");
        }
        for value in [json!(""), json!([]), json!(["a", ""]), json!([[1], []]), json!([[]])] {
            assert!(parse(&value).unwrap().has_empty(), "{value}");
        }
    }

    #[test]
    fn of_too_many_inputs_one_more_is_kept() {
        for value in [json!(vec!["a"; 5000]), json!(vec![[1]; 5000])] {
            assert_eq!(parse(&value).unwrap().count(), MOST_INPUTS + 1);
        }
        assert_eq!(parse(&json!(vec!["a"; MOST_INPUTS])).unwrap().count(), MOST_INPUTS);
        // These are the tokens of one input.
        assert_eq!(parse(&json!(vec![1; 5000])).unwrap().token_estimate(), 5000);
    }

    #[test]
    fn an_excerpt_shows_the_first_text_or_the_number_of_tokens() {
        for (value, excerpt) in [
            (json!(["é".repeat(300), "b"]), "é".repeat(200)),
            (json!(" \n"), "(no text)".to_owned()),
            (json!([1]), "1 token".to_owned()),
            (json!([vec![1; 1000], vec![2; 24]]), "1,024 tokens".to_owned()),
            (json!(vec![1; 1_234_567]), "1,234,567 tokens".to_owned()),
        ] {
            assert_eq!(parse(&value).unwrap().excerpt(), excerpt);
        }
    }
}
