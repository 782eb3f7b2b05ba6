//! What answers of chat completions and of completions have in common.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::event_stream::add_event;
use crate::chat::{Receipt, Started};
use crate::domain::Usage;
use crate::responder::{Choice, FinishReason};

/// The names by which a protocol calls its answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// The beginning of each id.
    pub prefix: &'static str,
    /// What a whole answer is.
    pub whole: &'static str,
    /// What a part of a stream is.
    pub chunk: &'static str,
}

/// A whole answer.
#[derive(Serialize)]
pub(super) struct Whole<'a, C> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<C>,
    usage: Value,
}

impl<'a, C> Whole<'a, C> {
    /// Makes an answer. `choice` writes a choice, by its index.
    pub(super) fn of(receipt: &'a Receipt, names: Names, choice: impl Fn(usize, &'a Choice) -> C) -> Self {
        Whole {
            id: format!("{}-{}", names.prefix, receipt.chat_id),
            object: names.whole,
            created: receipt.created_at.and_utc().timestamp(),
            model: &receipt.model,
            choices: ended(receipt).map(|(index, ended)| choice(index, ended)).collect(),
            usage: usage(receipt.usage),
        }
    }
}

/// Returns the choices that have ended, with their indexes. An upstream may leave one out.
pub(super) fn ended(receipt: &Receipt) -> impl Iterator<Item = (usize, &Choice)> {
    let all = receipt.answer.choices().iter().enumerate();
    all.filter(|(_, choice)| choice.finish_reason.is_some())
}

/// Returns why a choice ended. Every choice of a complete answer has a reason.
pub(super) fn reason_of(choice: &Choice) -> &str {
    choice.finish_reason.as_ref().map_or("stop", FinishReason::as_str)
}

/// What all chunks of a stream have in common.
pub(super) struct ChunkHead {
    /// The fields.
    pub fields: Map<String, Value>,
    /// Whether a chunk at the end has the usage. Then all others say that they do not.
    pub include_usage: bool,
}

impl ChunkHead {
    /// Prepares a stream.
    pub(super) fn new(started: &Started, names: Names, include_usage: bool) -> ChunkHead {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), format!("{}-{}", names.prefix, started.chat_id).into());
        fields.insert("object".to_owned(), names.chunk.into());
        fields.insert("created".to_owned(), started.created_at.and_utc().timestamp().into());
        fields.insert("model".to_owned(), started.model.clone().into());
        ChunkHead { fields, include_usage }
    }

    /// Adds the end of a stream: the usage, if it is wanted, and the mark of a good end.
    pub(super) fn end(&self, events: &mut Vec<u8>, counted: Usage) {
        if self.include_usage {
            let mut chunk = self.fields.clone();
            chunk.insert("choices".to_owned(), json!([]));
            chunk.insert("usage".to_owned(), usage(counted));
            add_event(events, None, &chunk);
        }
        events.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// Writes the usage.
fn usage(usage: Usage) -> Value {
    let mut fields = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    });
    let details = usage.details;
    let prompt = [("cached_tokens", details.cached_tokens), ("audio_tokens", details.prompt_audio_tokens)];
    let completion =
        [("reasoning_tokens", details.reasoning_tokens), ("audio_tokens", details.completion_audio_tokens)];
    for (name, parts) in [("prompt_tokens_details", prompt), ("completion_tokens_details", completion)] {
        let known = parts.into_iter().filter_map(|(name, tokens)| Some((name.to_owned(), tokens?.into())));
        let known: Map<String, Value> = known.collect();
        if !known.is_empty() {
            fields[name] = known.into();
        }
    }
    fields
}
