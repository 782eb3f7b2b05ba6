//! The parts of a streamed answer as the client got them, so that a retry under the same key gets
//! the same parts.
//!
//! The text and the thoughts of the first choice are stored with the answer, so a part that is only
//! the next piece of one of them is recorded as its length: `12` for text, `"t12"` for thoughts.
//! Any other part is recorded whole.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::finish_reason::FinishReason;
use super::message::{Delta, Reasoning};
use super::{Answer, Piece};

/// The longest recording, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// The most values of JSON in a recording: a retry parses each part of it twice.
const MOST_VALUES: usize = 20_000;

/// The field of the stored extras.
const FIELD: &str = "parts";

/// A recording that grows with the answer.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The elements of a JSON list.
    parts: String,
    values: usize,
    /// Whether the answer became too large. Then a retry gets it in one part for each choice.
    is_abandoned: bool,
}

impl Recording {
    /// Adds a part that is sent to the client.
    pub fn add(&mut self, piece: &Piece) {
        if self.is_abandoned {
            return;
        }
        if !self.parts.is_empty() {
            self.parts.push(',');
        }
        // Writing to a text cannot fail.
        let _ = match length_of(piece) {
            Some(Length::Text(bytes)) => write!(self.parts, "{bytes}"),
            Some(Length::Thoughts(bytes)) => write!(self.parts, "\"t{bytes}\""),
            None => {
                let part = whole(piece).to_string();
                self.values += part.bytes().filter(|byte| b"{[,".contains(byte)).count();
                write!(self.parts, "{part}")
            }
        };
        self.values += 1;
        if self.parts.len() > MOST_BYTES || self.values > MOST_VALUES {
            *self = Recording { is_abandoned: true, ..Recording::default() };
        }
    }

    /// Adds the recording to the stored extras of the answer, a JSON object.
    pub fn add_to(&self, extras: Option<String>) -> Option<String> {
        if self.parts.is_empty() {
            return extras;
        }
        let rest = extras.as_deref().and_then(|extras| extras.strip_prefix('{'));
        let rest = rest.filter(|rest| *rest != "}").map(|rest| format!(",{rest}"));
        Some(format!("{{\"{FIELD}\":[{}]{}", self.parts, rest.as_deref().unwrap_or("}")))
    }
}

/// The length of a part that continues a text of the first choice, in bytes.
enum Length {
    Text(usize),
    Thoughts(usize),
}

fn length_of(piece: &Piece) -> Option<Length> {
    let Piece { choice: 0, delta, finish_reason: None, logprobs: None, .. } = piece else { return None };
    let Delta { text, reasoning, refusal, tool_calls, more } = delta;
    if !refusal.is_empty() || !tool_calls.is_empty() || !more.is_empty() {
        return None;
    }
    match (text.len(), reasoning.text.len()) {
        (bytes @ 1.., 0) => Some(Length::Text(bytes)),
        (0, bytes @ 1..) => Some(Length::Thoughts(bytes)),
        _ => None,
    }
}

fn whole(piece: &Piece) -> Value {
    let mut fields = Map::new();
    if piece.choice > 0 {
        fields.insert("choice".to_owned(), piece.choice.into());
    }
    fields.insert("delta".to_owned(), json!(piece.delta));
    if let Some(reason) = &piece.finish_reason {
        fields.insert("finish_reason".to_owned(), reason.as_str().into());
    }
    if let Some(logprobs) = &piece.logprobs {
        fields.insert("logprobs".to_owned(), logprobs.clone());
    }
    fields.into()
}

/// The recorded parts of a stored answer. Each is made only when it is asked for: all together take
/// far more memory than the recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The elements of a JSON list.
    parts: String,
    next: Position,
}

/// How far a replay has come, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Position {
    parts: usize,
    text: usize,
    thoughts: usize,
}

/// A recording that does not fit the stored answer.
struct Misfit;

impl Replay {
    /// Takes the recording out of the stored extras of an answer. Returns the rest of them, too.
    pub(super) fn split(extras: &str) -> Option<(Replay, String)> {
        let begin = format!("{{\"{FIELD}\":[");
        let list = extras.strip_prefix(begin.as_str())?;
        let end = end_of_values(list, b']')?;
        let rest = list.get(end + 1..)?;
        let rest = format!("{{{}", rest.strip_prefix(',').unwrap_or(rest));
        let parts = list.get(..end)?.to_owned();
        Some((Replay { parts, next: Position::default() }, rest))
    }

    /// Returns whether the recording fits this answer.
    pub(super) fn fits(&self, answer: &Answer) -> bool {
        let mut at = self.next;
        loop {
            match self.part(&mut at, answer) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(Misfit) => return false,
            }
        }
        let Some(first) = answer.choices().first() else { return false };
        (at.text, at.thoughts) == (first.text().map_or(0, str::len), first.reasoning().text.len())
    }

    /// Returns the next part; `None` after the last one. The answer must be the one that it was
    /// stored with.
    pub fn next(&mut self, answer: &Answer) -> Option<Piece> {
        let mut at = self.next;
        let piece = self.part(&mut at, answer).ok().flatten();
        self.next = at;
        piece
    }

    /// Makes the part at a position, and moves on.
    fn part(&self, at: &mut Position, answer: &Answer) -> Result<Option<Piece>, Misfit> {
        let rest = self.parts.get(at.parts..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let end = end_of_values(rest, b',').unwrap_or(rest.len());
        let part = serde_json::from_str(rest.get(..end).unwrap_or_default()).map_err(|_| Misfit)?;
        at.parts += (end + 1).min(rest.len());
        piece_of(part, at, answer).map(Some).ok_or(Misfit)
    }
}

/// Returns where a byte stands that is outside of all values of a JSON text: the end of a list, or
/// a comma between values.
fn end_of_values(text: &str, wanted: u8) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (true, _) => {}
            (false, _) if byte == wanted && depth == 0 => return Some(at),
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.checked_sub(1)?,
            (false, _) => {}
        }
    }
    None
}

/// Makes a part. `None` if it does not fit the answer.
fn piece_of(part: Value, at: &mut Position, answer: &Answer) -> Option<Piece> {
    let first = answer.choices().first()?;
    let (text, thoughts) = (first.text().unwrap_or_default(), first.reasoning());
    match part {
        Value::Number(bytes) => {
            let bytes = usize::try_from(bytes.as_u64()?).ok()?;
            Some(Piece::of_text(taken(text, &mut at.text, bytes)?))
        }
        Value::String(bytes) => {
            let bytes = bytes.strip_prefix('t')?.parse().ok()?;
            let taken = taken(&thoughts.text, &mut at.thoughts, bytes)?;
            let reasoning = Reasoning { text: taken.to_owned(), field: thoughts.field };
            Some(Piece { delta: Delta { reasoning, ..Delta::default() }, ..Piece::default() })
        }
        Value::Object(fields) => {
            let piece = parse(fields)?;
            if piece.choice == 0 {
                taken(text, &mut at.text, piece.delta.text.len())?;
                taken(&thoughts.text, &mut at.thoughts, piece.delta.reasoning.text.len())?;
            }
            Some(piece)
        }
        _ => None,
    }
}

/// Takes a number of bytes of a text, from this position on.
fn taken<'a>(text: &'a str, at: &mut usize, bytes: usize) -> Option<&'a str> {
    let end = at.checked_add(bytes)?;
    let taken = text.get(*at..end)?;
    *at = end;
    Some(taken)
}

fn parse(mut fields: Map<String, Value>) -> Option<Piece> {
    let choice = fields.remove("choice").map_or(Some(0), |choice| usize::try_from(choice.as_u64()?).ok())?;
    let Some(Value::Object(delta)) = fields.remove("delta") else { return None };
    let finish_reason = match fields.remove("finish_reason") {
        Some(Value::String(reason)) => Some(FinishReason::of(&reason)),
        _ => None,
    };
    let (delta, logprobs) = (Delta::parse(delta).ok()?, fields.remove("logprobs"));
    Some(Piece { choice, delta, finish_reason, logprobs, ..Piece::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UsageDetails;
    use crate::responder::answer::{StoredAnswer, ToolCall};
    use crate::responder::bounds::AnswerBounds;

    fn delta(delta: Value) -> Piece {
        let Value::Object(fields) = delta else { panic!("no object") };
        Piece { delta: Delta::parse(fields).unwrap(), ..Piece::default() }
    }

    /// Records an answer of these parts, stores it and returns the parts of the replay, with those
    /// that were sent.
    fn round_trip(parts: &[Piece]) -> (Option<Vec<Piece>>, Vec<Piece>) {
        let (mut answer, mut recording) = (Answer::default(), Recording::default());
        let mut sent = Vec::new();
        for part in parts {
            let news = answer.add(part.clone(), &AnswerBounds::of(1000)).unwrap();
            recording.add(&news);
            sent.push(news);
        }
        let extras = recording.add_to(answer.extras(UsageDetails::default()));
        (replayed(answer.text(), &extras.unwrap()), sent)
    }

    /// Returns the parts of the replay of a stored answer, made one after the other.
    fn replayed(text: Option<&str>, extras: &str) -> Option<Vec<Piece>> {
        let StoredAnswer { answer, parts, .. } = Answer::stored(text.map(str::to_owned), Some(extras));
        parts.map(|mut parts| std::iter::from_fn(|| parts.next(&answer)).collect())
    }

    #[test]
    fn a_replay_has_the_parts_that_were_sent() {
        let call = |index: u64, id: &str, input: &str| {
            json!({ "tool_calls": [{ "index": index, "id": id, "type": "function",
                "function": { "name": if id.is_empty() { "" } else { "f" }, "arguments": input } }] })
        };
        let end = Piece { finish_reason: Some(FinishReason::Length), ..Piece::default() };
        let other = Piece { choice: 1, ..Piece::of_text("second") };
        let logprobs = Piece { logprobs: Some(json!({ "content": [1] })), ..Piece::of_text("ü") };
        let (replayed, sent) = round_trip(&[
            delta(json!({ "reasoning": "hm " })),
            delta(json!({ "reasoning": "hm" })),
            Piece::of_text("Grüße"),
            delta(json!({ "content": "!", "annotations": [1] })),
            logprobs,
            delta(call(0, "a", "{\"x\"")),
            delta(call(0, "", ":1}")),
            delta(call(1, "b", "{}")),
            delta(json!({ "refusal": "no" })),
            other.clone(),
            end.clone(),
            Piece { choice: 1, ..end },
        ]);
        assert_eq!(replayed.unwrap(), sent);
    }

    #[test]
    fn the_text_is_stored_once() {
        let mut recording = Recording::default();
        recording.add(&Piece::of_text("Hello"));
        recording.add(&Piece::of_text(" you"));
        recording.add(&delta(json!({ "reasoning_content": "hm" })));
        assert_eq!(recording.add_to(None).as_deref(), Some(r#"{"parts":[5,4,"t2"]}"#));
        let extras = recording.add_to(Some(r#"{"finish_reason":"length"}"#.to_owned()));
        assert_eq!(extras.as_deref(), Some(r#"{"parts":[5,4,"t2"],"finish_reason":"length"}"#));
        assert_eq!(Recording::default().add_to(None), None);
    }

    #[test]
    fn a_recording_that_does_not_fit_the_answer_is_not_used() {
        for parts in ["[3]", "[99]", "[1]", "[\"t1\",2]", "[true,2]", "[{}]"] {
            let extras = format!("{{\"parts\":{parts}}}");
            assert_eq!(replayed(Some("ü"), &extras), None, "{parts}");
        }
        assert_eq!(replayed(Some("ü"), "{\"parts\":[2]}"), Some(vec![Piece::of_text("ü")]));
    }

    #[test]
    fn a_recording_is_split_from_the_rest_wherever_its_strings_have_brackets() {
        let part = r#"{"delta":{"content":"\"],["}},1"#;
        let extras = format!(r#"{{"parts":[{part}],"finish_reason":"length"}}"#);
        let (replay, rest) = Replay::split(&extras).unwrap();
        assert_eq!((replay.parts.as_str(), rest.as_str()), (part, r#"{"finish_reason":"length"}"#));
        assert_eq!(Replay::split(r#"{"parts":[1]}"#).unwrap().1, "{}");
        for extras in ["{}", r#"{"parts":[1"#, r#"{"parts":["]}"#, r#"{"finish_reason":"length"}"#] {
            assert_eq!(Replay::split(extras), None, "{extras}");
        }
        let pieces = replayed(Some("\"],[a"), &extras).unwrap();
        assert_eq!(pieces.iter().map(Piece::text).collect::<Vec<_>>(), ["\"],[", "a"]);
    }

    #[test]
    fn a_recording_ends_where_it_would_become_too_large() {
        let mut recording = Recording::default();
        let call = ToolCall { input: "x".repeat(1000), ..ToolCall::default() };
        let piece = Piece { delta: Delta { tool_calls: vec![call], ..Delta::default() }, ..Piece::default() };
        (0..1100).for_each(|_| recording.add(&piece));
        assert_eq!(recording.add_to(None), None);
    }
}
