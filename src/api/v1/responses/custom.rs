//! Custom tools, to which a model gives any text. Only OpenAI's own models know them: the upstream
//! gets each as a function whose only argument is that text.

use serde_json::{Map, Value, json};

/// The argument that is the input of a custom tool.
const INPUT: &str = "input";

/// How the arguments begin. White space may come before the characters at [`MAY_PAUSE`].
const BEGINNING: &[u8] = b"{\"input\":\"";
/// See [`BEGINNING`].
const MAY_PAUSE: [usize; 4] = [0, 1, 8, 9];

/// Replaces invalid characters.
const REPLACEMENT: char = '\u{fffd}';

/// Returns a custom tool as a function. A grammar, which no function can have, is explained to the
/// model.
pub(super) fn as_function(name: &str, tool: &Map<String, Value>) -> Value {
    let mut description = tool.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(grammar) = tool.get("format").filter(|format| format["type"] == "grammar") {
        // Some clients send it as chat completions have it.
        let grammar = grammar.get("grammar").unwrap_or(grammar);
        let [syntax, definition] = ["syntax", "definition"].map(|name| grammar[name].as_str());
        if let Some(definition) = definition {
            let break_before = if description.is_empty() { "" } else { "\n\n" };
            let syntax = syntax.unwrap_or("lark");
            description.push_str(&format!(
                "{break_before}The \"input\" must follow this grammar ({syntax}):\n{definition}"
            ));
        }
    }
    let mut function = json!({ "name": name, "parameters": {
        "type": "object",
        "properties": { INPUT: { "type": "string", "description": "The whole input of the tool, as plain text." } },
        "required": [INPUT],
        "additionalProperties": false,
    } });
    if !description.is_empty() {
        function["description"] = description.into();
    }
    json!({ "type": "function", "function": function })
}

/// Returns an input as the arguments of the function.
pub(super) fn arguments(input: &str) -> String {
    json!({ INPUT: input }).to_string()
}

/// Returns the input that is in the arguments of the function. A model may write something else:
/// then that is the input.
pub(super) fn input(arguments: &str) -> String {
    let mut reader = InputReader::default();
    let mut input = reader.read(arguments);
    input.push_str(&reader.end());
    input
}

/// Reads the input while the arguments arrive. However they are split, the result is the same.
#[derive(Debug, Default)]
pub(super) struct InputReader {
    place: Place,
    /// What has arrived before it is known that the arguments begin as they should.
    before: String,
    /// The first half of a character that is escaped in two.
    half: Option<u32>,
}

/// Where in the arguments the reader is.
#[derive(Debug)]
enum Place {
    /// Within [`BEGINNING`].
    Before(usize),
    /// The arguments do not begin as they should.
    Elsewhere,
    Inside,
    /// After a backslash.
    Escape,
    /// Within the digits of an escaped character.
    Digits(u32, u32),
    After,
}

impl Default for Place {
    fn default() -> Place {
        Place::Before(0)
    }
}

impl InputReader {
    /// Reads a part of the arguments. Returns the input in it.
    pub(super) fn read(&mut self, part: &str) -> String {
        let mut out = String::new();
        for char in part.chars() {
            self.take(char, &mut out);
        }
        out
    }

    /// Ends the arguments. Returns the rest of the input.
    pub(super) fn end(&mut self) -> String {
        let mut out = String::new();
        if matches!(self.place, Place::Before(_) | Place::Elsewhere) {
            let whole = std::mem::take(&mut self.before);
            out = match serde_json::from_str(&whole) {
                Ok(Value::Object(mut fields)) => match fields.remove(INPUT) {
                    Some(Value::String(input)) => input.replace('\0', "\u{fffd}"),
                    _ => whole,
                },
                _ => whole,
            };
        }
        self.end_half(&mut out);
        self.place = Place::After;
        out
    }

    fn take(&mut self, char: char, out: &mut String) {
        match self.place {
            Place::Before(at) => self.begin(char, at),
            Place::Elsewhere => self.before.push(char),
            Place::Inside => match char {
                '\\' => self.place = Place::Escape,
                '"' => {
                    self.end_half(out);
                    self.place = Place::After;
                }
                other => self.put(other, out),
            },
            Place::Escape => self.escaped(char, out),
            Place::Digits(count, code) => match char.to_digit(16) {
                Some(digit) if count == 3 => {
                    self.place = Place::Inside;
                    self.unit(code * 16 + digit, out);
                }
                Some(digit) => self.place = Place::Digits(count + 1, code * 16 + digit),
                // This is no JSON. The input goes on.
                None => {
                    self.put(REPLACEMENT, out);
                    self.place = Place::Inside;
                    self.take(char, out);
                }
            },
            Place::After => {}
        }
    }

    fn begin(&mut self, char: char, at: usize) {
        self.before.push(char);
        if BEGINNING.get(at).is_some_and(|wanted| char == char::from(*wanted)) {
            self.place = Place::Before(at + 1);
            if at + 1 == BEGINNING.len() {
                self.before = String::new();
                self.place = Place::Inside;
            }
        } else if !(MAY_PAUSE.contains(&at) && char.is_ascii_whitespace()) {
            self.place = Place::Elsewhere;
        }
    }

    fn escaped(&mut self, char: char, out: &mut String) {
        self.place = Place::Inside;
        match char {
            'u' => self.place = Place::Digits(0, 0),
            'n' => self.put('\n', out),
            'r' => self.put('\r', out),
            't' => self.put('\t', out),
            'b' => self.put('\u{8}', out),
            'f' => self.put('\u{c}', out),
            '"' | '\\' | '/' => self.put(char, out),
            other => {
                self.put('\\', out);
                self.put(other, out);
            }
        }
    }

    /// Takes a unit of UTF-16.
    fn unit(&mut self, unit: u32, out: &mut String) {
        match (self.half.take(), unit) {
            (Some(first), 0xDC00..0xE000) => {
                let code = 0x10000 + ((first - 0xD800) << 10) + (unit - 0xDC00);
                self.put(char::from_u32(code).unwrap_or(REPLACEMENT), out);
            }
            (half, unit) => {
                if half.is_some() {
                    out.push(REPLACEMENT);
                }
                match unit {
                    0xD800..0xDC00 => self.half = Some(unit),
                    _ => self.put(char::from_u32(unit).unwrap_or(REPLACEMENT), out),
                }
            }
        }
    }

    /// Adds a character. A client could not send U+0000 back.
    fn put(&mut self, char: char, out: &mut String) {
        self.end_half(out);
        out.push(if char == '\0' { REPLACEMENT } else { char });
    }

    fn end_half(&mut self, out: &mut String) {
        if self.half.take().is_some() {
            out.push(REPLACEMENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_input_is_found_whatever_the_model_wrote() {
        for (arguments, wanted) in [
            (r#"{"input":"a\nb"}"#, "a\nb"),
            (" { \"input\" :\n \"a\" } ", "a"),
            (r#"{"input":""}"#, ""),
            (r#"{"input":"\u00e9\ud83c\udf88\\\"\/"}"#, "é🎈\\\"/"),
            // The limit on output was reached.
            (r#"{"input":"a\"#, "a"),
            (r#"{"input":"a\ud83c"#, "a\u{fffd}"),
            (r#"{"inp"#, r#"{"inp"#),
            ("", ""),
            (r#"{"input":"\ud83cx\u0000\uzz"}"#, "\u{fffd}x\u{fffd}\u{fffd}zz"),
            // Other arguments.
            (r#"{"reason":"r","input":"a"}"#, "a"),
            (r#"{"input":["a"]}"#, r#"{"input":["a"]}"#),
            ("*** Begin Patch", "*** Begin Patch"),
        ] {
            assert_eq!(input(arguments), wanted, "{arguments}");
        }
    }

    #[test]
    fn a_grammar_becomes_part_of_the_description() {
        let format = json!({ "type": "grammar", "syntax": "lark", "definition": "start: \"a\"" });
        let tool = json!({ "type": "custom", "name": "p", "description": "Patches.", "format": format });
        let function = as_function("p", tool.as_object().unwrap());
        let description = function["function"]["description"].as_str().unwrap();
        assert_eq!(description, "Patches.\n\nThe \"input\" must follow this grammar (lark):\nstart: \"a\"");
        let plain = json!({ "type": "custom", "name": "p", "format": { "type": "text" } });
        let function = as_function("p", plain.as_object().unwrap());
        assert!(function["function"]["description"].is_null(), "{function}");
    }

    proptest! {
        #[test]
        fn an_input_comes_back_however_its_arguments_are_split(
            text in "(\\PC|\\n|\"|\\\\|🎈){0,20}", cuts in proptest::collection::vec(0_usize..60, 0..4),
        ) {
            // Escaped as some models do it, in ASCII.
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            for arguments in [arguments(&text), format!("{{\"input\": \"{escaped}\"}}")] {
                let mut reader = InputReader::default();
                let (mut found, mut from) = (String::new(), 0);
                let mut cuts = cuts.clone();
                cuts.sort_unstable();
                for cut in cuts.into_iter().filter(|cut| arguments.is_char_boundary(*cut)) {
                    found.push_str(&reader.read(&arguments[from..cut.max(from)]));
                    from = cut.max(from);
                }
                found.push_str(&reader.read(&arguments[from..]));
                found.push_str(&reader.end());
                prop_assert_eq!(&found, &text);
                prop_assert_eq!(&input(&arguments), &text);
            }
        }
    }
}
