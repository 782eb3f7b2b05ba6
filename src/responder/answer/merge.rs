//! Merges the fields of an answer that this server does not interpret. Only text that models write
//! is continued from part to part; any other value is complete in each part.

use serde_json::{Map, Value};

use super::super::surrogates::without_halves;
use super::super::weight::{escaped_bytes, weight, weight_of_field};

/// The number of last elements of a list that are searched for the one that a part belongs to.
const ELEMENTS_LOOKED_AT: usize = 256;

/// Fields whose text is continued: what the model writes, and what is sent in pieces because it is
/// long.
const CONTINUED: [&str; 12] = [
    "content",
    "text",
    "reasoning",
    "reasoning_content",
    "thinking",
    "summary",
    "refusal",
    "arguments",
    "input",
    "transcript",
    "data",
    "partial_json",
];

/// Fields that identify an element of a list. Each part of the element has them.
const IDENTIFYING: [&str; 2] = ["index", "type"];

/// Adds the fields of a part to those that have arrived. Returns the fields that are new, and how
/// much the weight has grown. What is new contains each complete value once, because clients join
/// all texts.
pub(super) fn merge_fields(
    into: &mut Map<String, Value>,
    part: Map<String, Value>,
) -> (Map<String, Value>, usize) {
    let (mut news, mut grown) = (Map::new(), 0);
    for (name, value) in part {
        let (new, more) = merge_field(into, &name, value);
        grown += more;
        if let Some(new) = new {
            news.insert(name, new);
        }
    }
    (news, grown)
}

fn merge_field(into: &mut Map<String, Value>, name: &str, part: Value) -> (Option<Value>, usize) {
    match into.get_mut(name) {
        Some(old) => merge(old, name, part),
        None if is_empty(&part) => (None, 0),
        None => {
            let part = first(part);
            let grown = weight_of_field(name, &part);
            into.insert(name.to_owned(), part.clone());
            (Some(part), grown)
        }
    }
}

/// Returns the first value of a field. Elements of a list are merged, because they may already be
/// several parts of one element.
fn first(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut list = Vec::new();
            for element in elements {
                merge_element(&mut list, element);
            }
            Value::Array(list)
        }
        other => other,
    }
}

/// An empty value never replaces a value.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Adds a part to the value of a field. Returns what is new, and how much the weight has grown.
fn merge(into: &mut Value, name: &str, part: Value) -> (Option<Value>, usize) {
    match (into, part) {
        (_, part) if is_empty(&part) => (None, 0),
        (Value::String(into), Value::String(part)) if CONTINUED.contains(&name) => {
            into.push_str(&part);
            let grown = escaped_bytes(&part);
            (Some(part.into()), grown)
        }
        (Value::String(into), Value::String(part)) if name == "name" => match continued_name(into, &part) {
            Some(rest) => {
                into.push_str(&rest);
                let grown = escaped_bytes(&rest);
                (Some(rest.into()), grown)
            }
            None => (None, 0),
        },
        (Value::Object(into), Value::Object(part)) => {
            let (news, grown) = merge_fields(into, part);
            ((!news.is_empty()).then(|| news.into()), grown)
        }
        (Value::Array(into), Value::Array(part)) => {
            let (mut news, mut grown) = (Vec::new(), 0);
            for element in part {
                let (new, more) = merge_element(into, element);
                news.extend(new);
                grown += more;
            }
            ((!news.is_empty()).then(|| news.into()), grown)
        }
        (into, part) if *into == part => (None, 0),
        (into, part) => {
            let before = weight(into);
            into.clone_from(&part);
            (Some(part), weight(into).saturating_sub(before))
        }
    }
}

/// Returns what a part adds to a name: most upstreams send a name once, some send it whole in each
/// part, and a few send it in pieces. `None` if it adds nothing.
pub(super) fn continued_name(name: &str, part: &str) -> Option<String> {
    match part.strip_prefix(name) {
        Some("") => None,
        // The name so far, and more of it.
        Some(rest) if !name.is_empty() => Some(rest.to_owned()),
        _ if part.is_empty() => None,
        _ => Some(part.to_owned()),
    }
}

fn merge_element(into: &mut Vec<Value>, element: Value) -> (Option<Value>, usize) {
    let mut last = into.iter_mut().rev().take(ELEMENTS_LOOKED_AT);
    let index = element.get("index").filter(|index| index.is_number());
    let same = match index {
        Some(index) => last.find(|old| old.get("index") == Some(index)),
        // A list that comes whole with each part, such as sources, is kept once.
        None if !has_continued_text(&element) => {
            if last.any(|old| *old == element) {
                return (None, 0);
            }
            None
        }
        None => None,
    };
    match same {
        Some(Value::Object(old)) if element.is_object() => {
            let Value::Object(part) = element else { return (None, 0) };
            let identifying = part.iter().filter(|(name, _)| IDENTIFYING.contains(&name.as_str()));
            let identifying: Map<String, Value> =
                identifying.map(|(name, value)| (name.clone(), value.clone())).collect();
            let (mut news, grown) = merge_fields(old, part);
            let is_new = !news.is_empty();
            news.extend(identifying);
            (is_new.then(|| news.into()), grown)
        }
        _ => {
            let grown = weight(&element);
            into.push(element.clone());
            (Some(element), grown)
        }
    }
}

fn has_continued_text(element: &Value) -> bool {
    let fields = element.as_object().into_iter().flatten();
    fields.into_iter().any(|(name, value)| CONTINUED.contains(&name.as_str()) && value.is_string())
}

/// Replaces the halves of surrogate pairs in fields that this server does not interpret.
pub(super) fn replace_halves(fields: &mut Map<String, Value>) {
    fields.values_mut().for_each(replace_halves_in);
}

pub(super) fn replace_halves_in(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_halves(std::mem::take(text)),
        Value::Array(values) => values.iter_mut().for_each(replace_halves_in),
        Value::Object(fields) => replace_halves(fields),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Merges parts. Returns the whole, and the parts as clients get them.
    fn merged(parts: &[Value]) -> (Value, Vec<Value>) {
        let mut whole = Map::new();
        let mut news = Vec::new();
        for part in parts {
            let Value::Object(part) = part.clone() else { panic!("no object") };
            news.push(Value::from(merge_fields(&mut whole, part).0));
        }
        (whole.into(), news)
    }

    #[test]
    fn only_text_is_continued() {
        let (whole, news) = merged(&[
            json!({ "audio": { "id": "a", "data": "AB", "transcript": "He" }, "signature": "s1" }),
            json!({ "audio": { "id": "a", "data": "CD", "transcript": "llo" }, "signature": "s1" }),
            json!({ "audio": { "id": "", "data": "", "expires_at": 5 }, "signature": null }),
        ]);
        let audio = json!({ "id": "a", "data": "ABCD", "transcript": "Hello", "expires_at": 5 });
        assert_eq!(whole, json!({ "audio": audio, "signature": "s1" }));
        assert_eq!(news[1], json!({ "audio": { "data": "CD", "transcript": "llo" } }));
        assert_eq!(news[2], json!({ "audio": { "expires_at": 5 } }));
    }

    #[test]
    fn a_list_that_comes_with_each_part_is_kept_once() {
        let sources = json!({ "citations": ["https://a.example", "https://b.example"] });
        let (whole, news) = merged(&[sources.clone(), sources.clone()]);
        assert_eq!((whole, &news[1]), (sources, &json!({})));
    }

    #[test]
    fn elements_of_a_list_are_continued_by_their_index() {
        let part = |index: u32, text: &str| json!({ "reasoning_details": [{ "index": index, "type": "reasoning.text", "text": text, "format": "x" }] });
        let (whole, news) = merged(&[part(0, "a"), part(1, "b"), part(0, "a")]);
        assert_eq!(whole["reasoning_details"][0]["text"], "aa");
        assert_eq!(whole["reasoning_details"][1]["text"], "b");
        assert_eq!(
            news[2],
            json!({ "reasoning_details": [{ "index": 0, "type": "reasoning.text", "text": "a" }] })
        );
    }

    #[test]
    fn a_name_is_continued_unless_it_is_repeated() {
        for (name, part, more) in [
            ("", "read_", Some("read_")),
            ("read_", "file", Some("file")),
            ("read_file", "read_file", None),
            ("read_", "read_file", Some("file")),
            ("read_file", "", None),
        ] {
            assert_eq!(continued_name(name, part).as_deref(), more, "{name} {part}");
        }
    }
}
