//! The approximate memory of JSON values, which is far more than their text.

use serde_json::{Map, Value};

/// Bytes of a value itself.
const A_VALUE: usize = 72;
/// Bytes of an object without its fields.
const AN_OBJECT: usize = 48;
/// Bytes of a field without its name and value.
const A_FIELD: usize = 40;

/// Returns the approximate memory of a value, in bytes. Its JSON text is never longer.
pub(super) fn weight(value: &Value) -> usize {
    A_VALUE
        + match value {
            Value::String(text) => escaped_bytes(text),
            Value::Array(values) => values.iter().map(weight).sum(),
            Value::Object(fields) => AN_OBJECT + weight_of_fields(fields),
            _ => 0,
        }
}

/// Returns the approximate memory of an object's fields, in bytes.
pub(super) fn weight_of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| weight_of_field(name, value)).sum()
}

/// Returns the approximate memory of one field, in bytes.
pub(super) fn weight_of_field(name: &str, value: &Value) -> usize {
    A_FIELD + escaped_bytes(name) + weight(value)
}

/// Returns the length of a text in JSON, in bytes, without its quotation marks.
pub(super) fn escaped_bytes(text: &str) -> usize {
    let more = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + more.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_json_text_is_longer_than_its_weight() {
        for value in [
            json!(null),
            json!(-1.797_693_134_862_315_7e308),
            json!([[], {}, "", false, 1]),
            json!({ "a\u{1}\n": { "": ["\u{0}\u{8}\u{c}\"\\", "é😀"] }, "b": [0, 0, 0] }),
        ] {
            assert!(value.to_string().len() <= weight(&value), "{value}");
        }
    }
}
