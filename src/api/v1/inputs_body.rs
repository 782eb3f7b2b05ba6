//! The body of a request with texts or tokens. There may be many tokens, and as JSON values they
//! would take many times their memory.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::responder::GivenInputs;

/// The most objects, lists and elements in all other fields together.
const MOST_OTHER_VALUES: usize = 20_000;

/// A body in which one field has texts or tokens.
#[derive(Debug, Default)]
pub(in crate::api) struct InputsBody {
    /// The field `input`. `None` if the body does not have it.
    pub(super) input: Option<GivenInputs>,
    /// The field `prompt`. `None` if the body does not have it.
    pub(super) prompt: Option<GivenInputs>,
    /// The other fields.
    pub(super) fields: Map<String, Value>,
}

impl<'de> Deserialize<'de> for InputsBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InputsBody, D::Error> {
        struct BodyVisitor;

        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = InputsBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InputsBody, A::Error> {
                let mut body = InputsBody::default();
                let mut left = MOST_OTHER_VALUES;
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "input" => body.input = map.next_value()?,
                        "prompt" => body.prompt = map.next_value()?,
                        _ => {
                            let value = map.next_value_seed(FewValues(&mut left))?;
                            body.fields.insert(name, value);
                        }
                    }
                }
                Ok(body)
            }
        }

        deserializer.deserialize_map(BodyVisitor)
    }
}

/// Parses a value that takes no more than what is left of a number of values.
struct FewValues<'a>(&'a mut usize);

impl FewValues<'_> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.0 = self.0.checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for FewValues<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FewValues<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(FewValues(self.0))? {
            self.count()?;
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            self.count()?;
            fields.insert(name, map.next_value_seed(FewValues(self.0))?);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(text: &str) -> Result<InputsBody, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn tokens_are_parsed_apart_and_other_fields_as_they_are() {
        let fields = json!({ "model": "m", "n": 1, "x": [-1, 1.5, true, null, { "a": ["b"] }] });
        for name in ["input", "prompt"] {
            let mut body = fields.clone();
            body[name] = json!([1, 2, 3]);
            let body = parse(&body.to_string()).unwrap();
            assert_eq!(Value::from(body.fields), fields);
            let (given, other) =
                if name == "input" { (body.input, body.prompt) } else { (body.prompt, body.input) };
            assert_eq!(given.and_then(|given| given.0).map(|inputs| inputs.count()), Some(1));
            assert!(other.is_none(), "each endpoint has its own field");
        }
        assert!(parse(r#"{"input":null}"#).unwrap().input.is_none());
        assert!(parse(r#"{"input":7}"#).unwrap().input.is_some_and(|given| given.0.is_none()));
    }

    #[test]
    fn only_tokens_may_be_many() {
        let many = "1,".repeat(100_000);
        assert!(parse(&format!(r#"{{"input":[{many}1]}}"#)).is_ok());
        assert!(parse(&format!(r#"{{"other":[{many}1]}}"#)).is_err());
        let few = "1,".repeat(MOST_OTHER_VALUES - 1);
        assert!(parse(&format!(r#"{{"other":[{few}1]}}"#)).is_ok());
        assert!(parse(&format!(r#"{{"other":[{few}1],"more":[1]}}"#)).is_err());
    }
}
