//! A reader of answers that shares no code with the server. It is written from the HTML standard
//! (event streams) and RFC 8259 (JSON), and only looks for a finish reason. Where the server may be
//! strict, it is lenient.

use crate::support::upstream::providers::Recording;

/// Finish reasons that are failures.
const FAILURES: [&str; 11] = [
    "error",
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "failed",
    "timeout",
    "network_error",
    "model_error",
    "insufficient_system_resource",
    "",
];

/// Returns whether a response has a finish reason that is not a failure.
pub(super) fn has_finish_reason(recording: &Recording) -> bool {
    let head = recording.head.to_ascii_lowercase();
    if !head.starts_with("http/1.1 2") {
        return false;
    }
    let text = String::from_utf8_lossy(&recording.body);
    if head.contains("content-type: application/json") {
        return ends_an_answer(&text);
    }
    events(&text).iter().any(|data| ends_an_answer(data))
}

/// Returns the data of all events before `[DONE]`.
fn events(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut events = vec![Vec::new()];
    for line in text.split('\n') {
        if line.is_empty() {
            events.push(Vec::new());
        } else if let Some(data) = line.strip_prefix("data:") {
            events.last_mut().unwrap().push(data.strip_prefix(' ').unwrap_or(data));
        }
    }
    let events = events.into_iter().map(|lines| lines.join("\n"));
    events.take_while(|data| data.trim() != "[DONE]").collect()
}

fn ends_an_answer(data: &str) -> bool {
    let Some(chunk) = Json::parse(data) else { return false };
    let choices = chunk.all("choices").into_iter().filter_map(|choices| match choices {
        Json::List(choices) => Some(choices),
        _ => None,
    });
    choices.flatten().any(|choice| {
        // Only another number is certainly another choice.
        let is_other = |index: &&Json| match index {
            Json::Number(number) => number.parse() != Ok(0.0),
            Json::Text(number) => number.parse().is_ok_and(|number: f64| number != 0.0),
            _ => false,
        };
        let indexes = choice.all("index");
        let is_first = indexes.is_empty() || !indexes.iter().all(is_other);
        let is_good = |reason: &&Json| match reason {
            Json::Text(reason) => !FAILURES.contains(&reason.to_ascii_lowercase().as_str()),
            _ => false,
        };
        is_first && choice.all("finish_reason").iter().any(is_good)
    })
}

/// A value. A name may occur several times in an object.
enum Json<'a> {
    Word,
    Number(&'a str),
    Text(String),
    List(Vec<Json<'a>>),
    Object(Vec<(String, Json<'a>)>),
}

impl Json<'_> {
    fn parse(text: &str) -> Option<Json<'_>> {
        let mut parser = Parser { rest: text.trim_matches(BLANKS) };
        let value = parser.value(0)?;
        parser.rest.trim_matches(BLANKS).is_empty().then_some(value)
    }

    /// Returns all values of this name.
    fn all(&self, name: &str) -> Vec<&Json<'_>> {
        match self {
            Json::Object(fields) => {
                fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        }
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Deeper values are not read.
const DEPTH: usize = 1000;

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start_matches(BLANKS).strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        self.rest = self.rest.trim_start_matches(BLANKS);
        if depth > DEPTH {
            return None;
        }
        match self.rest.chars().next()? {
            '{' => self.object(depth),
            '[' => self.list(depth),
            '"' => self.text().map(Json::Text),
            '-' | '0'..='9' => {
                let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
                let (number, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(Json::Number(number))
            }
            _ => {
                let words = ["true", "false", "null"];
                let word = words.into_iter().find(|word| self.rest.starts_with(word))?;
                self.eat(word).map(|()| Json::Word)
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json<'a>> {
        self.eat("[")?;
        let mut values = Vec::new();
        if self.eat_if("]") {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.eat_if("]") {
                return Some(Json::List(values));
            }
            self.eat(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.eat("{")?;
        let mut fields = Vec::new();
        if self.eat_if("}") {
            return Some(Json::Object(fields));
        }
        loop {
            let name = self.text()?;
            self.eat(":")?;
            fields.push((name, self.value(depth + 1)?));
            if self.eat_if("}") {
                return Some(Json::Object(fields));
            }
            self.eat(",")?;
        }
    }

    fn eat_if(&mut self, token: &str) -> bool {
        let rest = self.rest;
        let is_there = self.eat(token).is_some();
        if !is_there {
            self.rest = rest;
        }
        is_there
    }

    /// Reads a text. Half a surrogate pair is a replacement character.
    fn text(&mut self) -> Option<String> {
        self.eat("\"")?;
        let mut units: Vec<u16> = Vec::new();
        let mut characters = self.rest.char_indices();
        loop {
            match characters.next()? {
                (at, '"') => {
                    self.rest = &self.rest[at + 1..];
                    return Some(String::from_utf16_lossy(&units));
                }
                (_, '\\') => match characters.next()?.1 {
                    'u' => {
                        let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                        units.push(u16::from_str_radix(&digits, 16).ok()?);
                    }
                    escaped => units.push(match escaped {
                        'b' => 8,
                        'f' => 12,
                        'n' => 10,
                        'r' => 13,
                        't' => 9,
                        '"' | '\\' | '/' => escaped as u16,
                        _ => return None,
                    }),
                },
                (_, character) if character < ' ' => return None,
                (_, character) => units.extend(character.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }
}

#[test]
fn a_finish_reason_is_found_only_where_there_is_one() {
    let stop = r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#;
    for data in [
        stop,
        r#" {"a":[1e999,"\ud83d",{}],"choices":[{"finish_reason":null,"finish_reason":"\u0073top"}]} "#,
        r#"{"choices":[{"index":1},{"index":0.0,"finish_reason":"x"}],"choices":[]}"#,
    ] {
        assert!(ends_an_answer(data), "{data}");
    }
    for data in [
        "",
        "[DONE]",
        &stop[1..],
        &format!("{stop}x"),
        r#"{"choices":[{"index":1,"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"finish_reason":"ABORT"}]}"#,
        r#"{"choices":[{"finish_reason":""}]}"#,
        r#"{"choices":[{"finish_reason":["stop"]}]}"#,
        r#"{"choices":[{"delta":{"finish_reason":"stop"}}]}"#,
        r#"{"choices":{"finish_reason":"stop"}}"#,
        r#"{"choices":[{"finish_reason":"stop",}]}"#,
    ] {
        assert!(!ends_an_answer(data), "{data}");
    }
    let stream = "\u{feff}: x\r\rdata:a\r\ndata: b\r\n\r\nevent: c\n\ndata: [DONE]\n\ndata: d";
    assert_eq!(events(stream).concat(), "a\nb");
}
