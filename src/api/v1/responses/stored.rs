//! What is stored of a request, and how earlier responses become messages again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::fields::invalid;
use super::custom;
use super::input::{messages, no_such_item, reference, with_one_beginning};
use super::names::Joined;
use super::shape::Shape;
use super::write::{COMPLETED, REASONING_DETAILS, call_id, items};
use crate::chat::{Assembled, Earlier, StoredTurn};
use crate::error::{Error, Result};
use crate::responder::{Choice, Content, Message};

/// The longest input that is stored, in bytes.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// The longest input that is stored if the request does not ask for it, in bytes. Clients that send
/// whole conversations again and again rarely look anything up.
pub(super) const MOST_UNASKED_BYTES: usize = 256 << 10;

/// What is stored of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredRequest {
    /// What the response repeats.
    #[serde(flatten)]
    pub shape: Shape,
    /// The items of its input.
    pub input: Vec<Value>,
}

impl StoredRequest {
    /// Reads what was stored.
    ///
    /// # Errors
    /// [`Error::Internal`] if no version of this server can have stored it.
    pub(super) fn parse(text: &str) -> Result<StoredRequest> {
        parse(text)
    }

    /// Writes what is stored.
    pub(super) fn write(shape: &Shape, input: &[Value]) -> Result<Arc<str>> {
        #[derive(Serialize)]
        struct Written<'a> {
            #[serde(flatten)]
            shape: &'a Shape,
            input: &'a [Value],
        }
        let text = serde_json::to_string(&Written { shape, input });
        let text = text.map_err(|error| Error::Internal(format!("a response to be stored: {error}")))?;
        Ok(text.into())
    }
}

/// What a model reads again of a stored request.
#[derive(Deserialize)]
struct StoredInput {
    input: Vec<Value>,
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Internal(format!("a stored response: {error}")))
}

/// Returns whether an input has at most this many bytes.
pub(super) fn fits(input: &[Value], most: usize) -> bool {
    serde_json::to_writer(Counter { bytes: 0, most }, input).is_ok()
}

/// Counts bytes, up to a limit.
struct Counter {
    bytes: usize,
    most: usize,
}

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > self.most { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A request that continues or refers to earlier responses.
pub(super) struct Continued {
    /// The messages of its instructions.
    pub instructions: Vec<Message>,
    /// The items of its input.
    pub input: Vec<Value>,
    /// The tools of namespaces, as the upstream knows them.
    pub joined: Joined,
    /// What is stored. `None`: nothing.
    pub stored: Option<Shape>,
    /// Whether messages may be left out.
    pub allows_cuts: bool,
}

impl Continued {
    /// Puts the messages together: the instructions, what was said before, and the input.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an item refers to one that is not stored, or if the input with what it
    /// refers to is too long to be stored.
    pub(super) fn assemble(&self, mut earlier: Earlier) -> Result<Assembled> {
        let mut all = self.instructions.clone();
        // Each turn is dropped when its messages are made.
        for mut turn in std::mem::take(&mut earlier.turns) {
            let StoredInput { input } = parse(&turn.request)?;
            earlier.room.take(&input)?;
            all.extend(messages(input, &self.joined)?);
            let answer = turn.take_answer();
            if let Some(choice) = answer.choices().first() {
                let message = answered(turn.chat_id, choice);
                earlier.room.take(message.more.values())?;
                all.push(message);
            }
        }
        let input = resolved(&self.input, earlier)?;
        let stored = match &self.stored {
            // The response says whether it is stored, and so does a replay, which looks nothing up.
            Some(_) if !fits(&input, MOST_BYTES) => return Err(too_long()),
            Some(shape) => Some(StoredRequest::write(shape, &input)?),
            None => None,
        };
        all.extend(messages(input, &self.joined)?);
        let all = with_one_beginning(all);
        Ok(Assembled { messages: all, allows_cuts: self.allows_cuts, stored })
    }
}

fn too_long() -> Error {
    invalid(
        "store",
        "give false: an input that has more than 4 MiB with the items it refers to is not stored",
    )
}

/// Returns items, each reference replaced by the item that it refers to. The items of a response
/// are written once, however many of them are referred to.
fn resolved(input: &[Value], mut earlier: Earlier) -> Result<Vec<Value>> {
    let mut written: HashMap<i64, Vec<Value>> = HashMap::new();
    let mut resolved = Vec::with_capacity(input.len());
    for item in input {
        let Some((chat_id, at)) = reference(item)? else {
            resolved.push(item.clone());
            continue;
        };
        let items = match written.entry(chat_id) {
            Entry::Occupied(items) => items.into_mut(),
            Entry::Vacant(place) => {
                let turn = earlier.referenced.iter_mut().find(|turn| turn.chat_id == chat_id);
                let items = turn.map(items_of).transpose()?.unwrap_or_default();
                earlier.room.take(&items)?;
                place.insert(items)
            }
        };
        // Each item is referred to once.
        let found = items.get_mut(at).filter(|found| found["id"] == item["id"]).map(Value::take);
        resolved.push(found.ok_or_else(|| no_such_item(&item["id"]))?);
    }
    Ok(resolved)
}

/// Returns the items of a stored response.
fn items_of(turn: &mut StoredTurn) -> Result<Vec<Value>> {
    let Shape { joined, customs, with_summary, .. } = StoredRequest::parse(&turn.request)?.shape;
    let shape = Shape { with_encrypted: true, with_summary, joined, customs, ..Shape::default() };
    let answer = turn.take_answer();
    let choice = answer.choices().first();
    Ok(choice.map(|choice| items(turn.chat_id, choice, &shape, COMPLETED)).unwrap_or_default())
}

/// Returns an answer as the message that a model reads again: what it said and called, and the
/// reasoning that its upstream wants back.
fn answered(chat_id: i64, choice: &Choice) -> Message {
    let mut more = serde_json::Map::new();
    if let Some(refusal) = choice.refusal() {
        more.insert("refusal".to_owned(), refusal.into());
    }
    let calls: Vec<Value> = choice
        .tool_calls()
        .map(|call| {
            let mut call = call.clone();
            call.id = call_id(&call, chat_id);
            call.index = None;
            if std::mem::take(&mut call.is_custom) {
                call.input = custom::arguments(&call.input);
                call.kind = "function".to_owned();
            }
            serde_json::json!(call)
        })
        .collect();
    if !calls.is_empty() {
        more.insert("tool_calls".to_owned(), calls.into());
    }
    if let Some(details) = choice.field(REASONING_DETAILS) {
        more.insert(REASONING_DETAILS.to_owned(), details.clone());
    }
    let content = match choice.text() {
        Some(text) => Content::Text(text.to_owned()),
        None if more.is_empty() => Content::Text(String::new()),
        None => Content::Other(Value::Null),
    };
    Message { role: "assistant".to_owned(), content: Some(content), more }
}
