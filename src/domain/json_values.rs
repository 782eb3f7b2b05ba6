//! Counts the values of JSON, also of a text before it is parsed: a value of a few bytes takes a
//! few hundred bytes of memory.

use serde_json::Value;

/// Returns whether a JSON text has more than `most` objects, lists and elements. The contents of
/// strings do not count.
pub fn has_more_values(text: &[u8], most: usize) -> bool {
    // Each value has a byte of its own.
    if text.len() <= most {
        return false;
    }
    let (mut in_string, mut is_escaped, mut values) = (false, false, 0);
    for byte in text {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[' | b',') => values += 1,
            _ => {}
        }
    }
    values > most
}

/// Returns the number of values that a value consists of, itself included.
pub fn count_values(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count_values).sum(),
        Value::Object(fields) => fields.values().map(count_values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_counted_at_every_depth() {
        assert_eq!(count_values(&json!("a")), 1);
        assert_eq!(count_values(&json!({ "a": [1, [], {}], "b": null })), 6);
    }

    #[test]
    fn values_are_counted_outside_of_strings_only() {
        let list = |value: &str, count: usize| format!("[{}]", vec![value; count].join(","));
        assert!(!has_more_values(list("1", 100).as_bytes(), 100));
        assert!(has_more_values(list("1", 101).as_bytes(), 100));
        assert!(has_more_values(list("{}", 51).as_bytes(), 100));
        let text = format!(r#"{{"a":"\\\"{}"}}"#, "{[,".repeat(100));
        assert!(!has_more_values(text.as_bytes(), 100));
    }
}
