//! Lines for programs: one JSON object each.

use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use serde_json::Number;

/// Adds a record as a line: `time` in RFC 3339, `level`, `target` (the part of the program),
/// `message`, and the record's own fields.
pub(super) fn add(line: &mut String, record: &Record<'_>, time: &str) {
    line.push('{');
    add_text(line, "time", time);
    line.push(',');
    add_text(line, "level", record.level().as_str());
    line.push(',');
    add_text(line, "target", record.target());
    line.push(',');
    match record.args().as_str() {
        Some(message) => add_text(line, "message", message),
        None => add_text(line, "message", &record.args().to_string()),
    }
    // Visiting fails only if a visitor does, and these do not.
    let _ = record.key_values().visit(&mut Fields(line));
    line.push_str("}\n");
}

fn add_text(line: &mut String, key: &str, text: &str) {
    add_json(line, key);
    line.push(':');
    add_json(line, text);
}

/// Adds a text as JSON, which has no character that ends a line.
fn add_json(line: &mut String, text: &str) {
    // A text can always be written.
    line.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Adds fields to an object that has some.
struct Fields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        value.visit(Field { line: self.0, key: key.as_str() })
    }
}

/// Adds one field. A field without a value is left out.
struct Field<'a> {
    line: &'a mut String,
    key: &'a str,
}

impl Field<'_> {
    fn add(&mut self, json: &str) -> Result<(), Error> {
        self.line.push(',');
        add_json(self.line, self.key);
        self.line.push(':');
        self.line.push_str(json);
        Ok(())
    }
}

impl<'v> VisitValue<'v> for Field<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.visit_str(&value.to_string())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.add(&value.to_string())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.add(&value.to_string())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        // JSON has no infinity.
        Number::from_f64(value).map_or(Ok(()), |number| self.add(&number.to_string()))
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.add(if value { "true" } else { "false" })
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.line.push(',');
        add_text(self.line, self.key, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Level;
    use serde_json::{Value, json};

    use super::*;

    const TIME: &str = "2026-12-02T10:00:00.123456Z";

    #[test]
    fn a_line_is_one_object_whatever_a_message_contains() {
        for message in ["plain", "\"quoted\\\" \u{0}\r\n}\n{\"level\":\"x\"}", "\u{2028}\u{7f}é\u{1f600}"] {
            let mut line = String::new();
            let arguments = format_args!("{message}");
            add(&mut line, &Record::builder().level(Level::Warn).target("t").args(arguments).build(), TIME);
            let (object, rest) = line.split_once('\n').unwrap();
            assert_eq!(rest, "");
            let parsed: Value = serde_json::from_str(object).unwrap();
            assert_eq!(parsed, json!({ "time": TIME, "level": "WARN", "target": "t", "message": message }));
        }
    }

    #[test]
    fn fields_keep_their_types_and_those_without_a_value_are_left_out() {
        let fields = [
            ("id", log::kv::Value::from(7_i64)),
            ("count", log::kv::Value::from(u64::MAX)),
            ("ms", log::kv::Value::from(1.5)),
            ("never", log::kv::Value::from(f64::NAN)),
            ("is_on", log::kv::Value::from(true)),
            ("none", log::kv::Value::null()),
            ("text", log::kv::Value::from("a\"\n")),
            ("shown", log::kv::Value::from_display(&RequestLike)),
        ];
        let mut line = String::new();
        add(&mut line, &Record::builder().args(format_args!("m")).key_values(&fields).build(), TIME);
        let parsed: Value = serde_json::from_str(&line).unwrap();
        let expected = json!({ "time": TIME, "level": "INFO", "target": "", "message": "m", "id": 7,
            "count": u64::MAX, "ms": 1.5, "is_on": true, "text": "a\"\n", "shown": "00ff" });
        assert_eq!(parsed, expected);
    }

    struct RequestLike;

    impl std::fmt::Display for RequestLike {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("00ff")
        }
    }
}
