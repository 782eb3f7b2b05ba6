//! The question to a model, in this server's own form. A dialect translates it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::completion::Completion;
use super::inputs::Inputs;
use super::label::Label;
use crate::domain::{RequestId, estimate};

/// Options that only tune an answer, or say who asks.
pub const HINTS: [&str; 10] = [
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
    "top_k",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
];

/// What a model is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The model's name, one of those on offer.
    pub model: String,
    /// What kind of answer is wanted.
    pub kind: QuestionKind,
    /// The messages of a conversation, the oldest first.
    pub messages: Vec<Message>,
    /// How many of the first messages may be left out if the conversation is too long for the
    /// model: earlier turns, which the user did not send with this request. They come after
    /// [`Question::instructions`] messages that always stay.
    pub earlier: usize,
    /// The number of messages before the earlier turns.
    pub instructions: usize,
    /// The most tokens of each choice of the answer, at least 1. Embeddings have none.
    pub max_output: u32,
    /// The number of choices of the answer, at least 1. A completion has the same number for each
    /// of its prompts.
    pub choices: u32,
    /// Further fields of the request, passed on unchanged (`temperature`, `stop`, `tools`, …).
    pub options: Map<String, Value>,
    /// Other fields of the request, which are passed on only if the model's list names them.
    pub extra: Map<String, Value>,
    /// The names of those that are passed on. The model may read them.
    pub passed: Vec<String>,
    /// Whether an upstream that rejects a [`HINTS`] gets the question without it. Clients of some
    /// dialects send them by default, whatever the model.
    pub may_lose_hints: bool,
    /// The request that asks, for the log.
    pub request_id: Option<RequestId>,
}

impl Default for Question {
    fn default() -> Question {
        Question {
            model: String::new(),
            kind: QuestionKind::Chat,
            messages: Vec::new(),
            earlier: 0,
            instructions: 0,
            max_output: 0,
            choices: 1,
            options: Map::new(),
            extra: Map::new(),
            passed: Vec::new(),
            may_lose_hints: false,
            request_id: None,
        }
    }
}

/// The kind of answer that is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum QuestionKind {
    /// The next message of a conversation, [`Question::messages`].
    #[default]
    Chat,
    /// What continues texts.
    Completion(Completion),
    /// A vector for each input.
    Embeddings(Inputs),
}

/// A message of a conversation. What this server does not know of it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who said it: `system`, `user`, `assistant`, `tool`, …
    pub role: String,
    /// What was said. `None` if the message has no such field.
    pub content: Option<Content>,
    /// Other fields: `tool_calls`, `tool_call_id`, `name`, …
    pub more: Map<String, Value>,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A text.
    Text(String),
    /// Parts: texts and media.
    Parts(Vec<Part>),
    /// Something else, such as `null`.
    Other(Value),
}

/// A part of a content.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A text, and the whole part.
    Text(Value),
    /// A picture, a recording or a file, and the whole part.
    Medium(Medium, Value),
}

/// What a part that is not text contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A picture.
    Image,
    /// A recording.
    Audio,
    /// A film, a document, or anything else.
    Other,
}

impl Medium {
    /// Returns the kind of medium of a part, by the part's `type`.
    fn of(part: &Value) -> Option<Medium> {
        match part.get("type")?.as_str()? {
            "text" | "refusal" | "thinking" => None,
            "image_url" | "input_image" | "image" if is_other_data(part) => Some(Medium::Other),
            "image_url" | "input_image" | "image" => Some(Medium::Image),
            "input_audio" | "audio_url" | "audio" => Some(Medium::Audio),
            _ => Some(Medium::Other),
        }
    }
}

/// Returns whether a part for pictures contains something else, such as a document.
fn is_other_data(part: &Value) -> bool {
    let url = part.get("image_url");
    let url = url.and_then(|url| url.as_str().or_else(|| url.get("url")?.as_str())).unwrap_or_default();
    let start = url.trim_start().get(..11).unwrap_or_default().to_ascii_lowercase();
    start.starts_with("data:") && start != "data:image/"
}

impl Message {
    /// Makes a message that is only text.
    pub fn of_text(role: &str, text: &str) -> Message {
        Message { role: role.to_owned(), content: Some(Content::Text(text.to_owned())), more: Map::new() }
    }

    /// Parses a message of the OpenAI protocol. `None` if it has no role.
    pub fn parse(value: Value) -> Option<Message> {
        let Value::Object(mut more) = value else { return None };
        let Some(Value::String(role)) = more.remove("role") else { return None };
        let content = more.remove("content").map(|content| match content {
            Value::String(text) => Content::Text(text),
            Value::Array(parts) => Content::Parts(parts.into_iter().map(Part::parse).collect()),
            other => Content::Other(other),
        });
        Some(Message { role, content, more })
    }

    /// Returns the texts of the content, one for each part.
    pub fn texts(&self) -> Vec<&str> {
        match &self.content {
            Some(Content::Text(text)) => vec![text],
            Some(Content::Parts(parts)) => {
                let texts = parts.iter().filter_map(|part| match part {
                    Part::Text(part) => part.get("text").unwrap_or(part).as_str(),
                    Part::Medium(..) => None,
                });
                texts.collect()
            }
            Some(Content::Other(_)) | None => Vec::new(),
        }
    }

    fn parts(&self) -> &[Part] {
        match &self.content {
            Some(Content::Parts(parts)) => parts,
            _ => &[],
        }
    }
}

impl Part {
    /// Parses a part of the OpenAI protocol.
    pub fn parse(part: Value) -> Part {
        match Medium::of(&part) {
            Some(medium) => Part::Medium(medium, part),
            None => Part::Text(part),
        }
    }
}

/// A message in the form of the OpenAI protocol.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("role", &self.role)?;
        if let Some(content) = &self.content {
            fields.serialize_entry("content", content)?;
        }
        for (name, value) in &self.more {
            fields.serialize_entry(name, value)?;
        }
        fields.end()
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Text(text) => serializer.serialize_str(text),
            Content::Parts(parts) => serializer.collect_seq(parts),
            Content::Other(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Text(part) | Part::Medium(_, part) => part.serialize(serializer),
        }
    }
}

/// Tokens that a model's template may add around the messages.
const TEMPLATE: i64 = 64;

/// The most tokens of a recording, a film or a document that the request only refers to.
const MOST_OF_A_REFERENCE: i64 = 2000;

/// Bytes of a recording for each token, at least: 32 tokens a second, and speech compressed to
/// 8 kbit/s, in base64.
const BYTES_OF_SOUND_A_TOKEN: i64 = 40;

/// The estimated tokens of a medium, for when the upstream reports no usage.
const A_USUAL_MEDIUM: i64 = 1000;

impl Question {
    /// Makes a question of one message, without earlier turns.
    pub fn of_message(model: &str, message: &str, max_output: u32) -> Question {
        let messages = vec![Message::of_text("user", message)];
        Question { model: model.to_owned(), messages, max_output, ..Question::default() }
    }

    /// Returns the model and the request, as the log names them.
    pub fn label(&self) -> Label {
        Label { model: self.model.clone(), request_id: self.request_id }
    }

    /// Returns whether vectors are wanted, and no text.
    pub fn is_for_embeddings(&self) -> bool {
        matches!(self.kind, QuestionKind::Embeddings(_))
    }

    /// Returns how many choices each of these prompts has.
    pub(super) fn choices_of_each_prompt(&self, prompts: &Inputs) -> u32 {
        let prompts = u32::try_from(prompts.count()).unwrap_or(u32::MAX).max(1);
        (self.choices / prompts).max(1)
    }

    /// Returns an upper bound of the prompt's tokens for each choice: no token is shorter than a
    /// byte. The names and brackets of the JSON, and a small addition, cover what a model's
    /// template adds. A picture counts as `image_tokens`, however many bytes it has.
    pub fn prompt_bound(&self, image_tokens: i64) -> i64 {
        let media = self.media().map(|(medium, part)| match medium {
            Medium::Image => image_tokens,
            Medium::Audio => MOST_OF_A_REFERENCE.saturating_add(json_bytes(part) / BYTES_OF_SOUND_A_TOKEN),
            Medium::Other => MOST_OF_A_REFERENCE.saturating_add(json_bytes(part)),
        });
        let inputs = match &self.kind {
            QuestionKind::Chat => 0,
            QuestionKind::Completion(completion) => completion.token_bound(),
            // The model may read the further fields with each input.
            QuestionKind::Embeddings(inputs) => {
                let others = i64::try_from(inputs.count()).unwrap_or(i64::MAX).saturating_sub(1).max(0);
                inputs.token_bound().saturating_add(self.text_bytes().saturating_mul(others))
            }
        };
        let texts = self.text_bytes().saturating_add(inputs).saturating_add(TEMPLATE);
        media.fold(texts, i64::saturating_add)
    }

    /// Estimates the tokens of the prompt, for when the upstream reports no usage.
    pub fn prompt_estimate(&self) -> i64 {
        let media = self.media().fold(0_i64, |media, _| media.saturating_add(A_USUAL_MEDIUM));
        let inputs = match &self.kind {
            QuestionKind::Chat => 0,
            QuestionKind::Completion(completion) => completion.token_estimate(),
            QuestionKind::Embeddings(inputs) => inputs.token_estimate(),
        };
        estimate(self.text_bytes()).saturating_add(inputs).saturating_add(media)
    }

    /// Returns whether a message contains a medium of this kind.
    pub fn has(&self, medium: Medium) -> bool {
        self.media().any(|(other, _)| other == medium)
    }

    /// Lets everything before the user's last message be left out, except the system's messages at
    /// the beginning.
    pub fn allow_cuts(&mut self) {
        let is_system = |message: &&Message| message.role == "system";
        self.instructions = self.messages.iter().take_while(is_system).count();
        let last = self.messages.iter().rposition(|message| message.role == "user");
        self.earlier = last.unwrap_or(0).saturating_sub(self.instructions);
    }

    /// Returns the question without the older half of its earlier turns, for a model that found it
    /// too long. `None` if there are no earlier turns. A turn begins with a message of the user, so
    /// that a tool call is never separated from its result.
    pub fn halved(&self) -> Option<Question> {
        if self.earlier == 0 {
            return None;
        }
        let earlier = &self.messages[self.instructions..self.instructions + self.earlier];
        let begins = earlier.iter().enumerate().filter(|(_, message)| message.role == "user");
        let begins: Vec<usize> = begins.map(|(at, _)| at).collect();
        // The half that stays is rounded down.
        let staying = begins.len() / 2;
        let dropped = match staying {
            0 => self.earlier,
            _ => begins[begins.len() - staying],
        };
        let mut shorter = self.clone();
        shorter.messages.drain(self.instructions..self.instructions + dropped);
        shorter.earlier -= dropped;
        Some(shorter)
    }

    /// Returns the parts of messages that are not text.
    fn media(&self) -> impl Iterator<Item = (Medium, &Value)> {
        let parts = self.messages.iter().flat_map(Message::parts);
        parts.filter_map(|part| match part {
            Part::Medium(medium, part) => Some((*medium, part)),
            Part::Text(_) => None,
        })
    }

    /// Returns the bytes of everything that the model reads, as JSON, without media.
    fn text_bytes(&self) -> i64 {
        let messages = self.messages.iter().map(json_bytes);
        let read = ["tools", "functions", "response_format"].into_iter();
        let read = read.chain(self.passed.iter().map(String::as_str));
        let read = read.filter_map(|name| self.options.get(name));
        let all = messages.chain(read.map(json_bytes)).fold(0, i64::saturating_add);
        self.media().map(|(_, part)| json_bytes(part)).fold(all, |all, medium| all - medium)
    }
}

/// Returns the length of a value as JSON, without building the text, which may be as large as a
/// body.
fn json_bytes<T: Serialize>(value: &T) -> i64 {
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => i64::MAX,
    }
}

struct Counter(i64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with_parts(parts: Value) -> Question {
        let mut question = Question::of_message("m", "hi", 10);
        question.messages = vec![Message::parse(json!({ "role": "user", "content": parts })).unwrap()];
        question
    }

    #[test]
    fn the_bound_covers_tools_and_the_template() {
        let mut question = Question::of_message("m", "hi", 10);
        let plain = question.prompt_bound(0);
        assert!(plain >= 64 + 2);
        question.options.insert("tools".into(), json!([{ "type": "function" }]));
        question.options.insert("temperature".into(), json!(0.5));
        assert_eq!(question.prompt_bound(0), plain + 21);
    }

    #[test]
    fn the_bound_covers_inputs_that_are_no_conversation() {
        let of = |kind| Question { kind, ..Question::default() };
        let inputs = Inputs::Tokens(vec![1; 1000]);
        let embeddings = of(QuestionKind::Embeddings(inputs.clone()));
        assert_eq!((embeddings.prompt_bound(0), embeddings.prompt_estimate()), (TEMPLATE + 1008, 1000));
        let mut completion = of(QuestionKind::Completion(Completion { prompts: inputs, suffix: None }));
        assert_eq!((completion.prompt_bound(0), completion.prompt_estimate()), (TEMPLATE + 1008, 1000));
        completion.options.insert("guided_json".into(), json!("x"));
        completion.passed.push("guided_json".to_owned());
        assert_eq!(completion.prompt_bound(0), TEMPLATE + 1008 + 3);
    }

    #[test]
    fn a_picture_counts_by_its_own_bound_however_many_bytes_it_has() {
        let text = json!({ "type": "text", "text": "hi" });
        let picture = |url: &str| json!({ "type": "image_url", "image_url": { "url": url } });
        let plain = with_parts(json!([text]));
        let address = with_parts(json!([text, picture("https://a.example/b.png")]));
        let data = with_parts(json!([text, picture(&"x".repeat(100_000))]));
        let bound = plain.prompt_bound(1100) + 1100;
        // A comma separates the parts.
        assert_eq!([&address, &data].map(|question| question.prompt_bound(1100)), [bound + 1; 2]);
        let estimate = plain.prompt_estimate() + 1000;
        assert!((estimate..=estimate + 1).contains(&data.prompt_estimate()));
        assert!(data.has(Medium::Image) && !data.has(Medium::Audio) && !plain.has(Medium::Image));
    }

    #[test]
    fn a_document_may_have_a_token_for_each_byte() {
        let file = json!([{ "type": "file", "file": { "file_data": "x".repeat(50_000) } }]);
        assert!(with_parts(file).prompt_bound(0) > 52_000);
        let document = json!({ "url": format!("data:application/pdf;base64,{}", "x".repeat(50_000)) });
        let disguised = json!([{ "type": "image_url", "image_url": document }]);
        assert!(with_parts(disguised).prompt_bound(1100) > 52_000);
        let sound = json!([{ "type": "input_audio", "input_audio": { "data": "x".repeat(40_000) } }]);
        assert!((3000..4000).contains(&with_parts(sound).prompt_bound(0)));
    }

    #[test]
    fn a_message_is_the_same_after_parsing() {
        for message in [
            json!({ "role": "user", "content": "hi", "name": "ada" }),
            json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "a" }] }),
            json!({ "role": "tool", "tool_call_id": "a" }),
            json!({ "role": "user", "content": [{ "type": "text", "text": "a", "cache_control": {} },
                { "type": "image_url" }, "b", 5] }),
        ] {
            assert_eq!(json!(Message::parse(message.clone()).unwrap()), message);
        }
        assert_eq!(Message::parse(json!({ "content": "hi" })), None);
        assert_eq!(Message::parse(json!("hi")), None);
    }

    #[test]
    fn half_of_the_earlier_turns_can_be_left_out() {
        let mut question = Question::of_message("m", "now", 10);
        let texts = ["system", "1", "a", "2", "b", "3", "c", "now"];
        let role = |text: &str| match text {
            "system" => "system",
            "a" | "b" | "c" => "assistant",
            _ => "user",
        };
        question.messages = texts.map(|text| Message::of_text(role(text), text)).to_vec();
        question.allow_cuts();
        assert_eq!((question.instructions, question.earlier), (1, 6));
        let halved = |question: &Question| question.halved().unwrap();
        let texts = |question: &Question| {
            question.messages.iter().flat_map(Message::texts).collect::<Vec<_>>().join(" ")
        };
        let shorter = halved(&question);
        assert_eq!((texts(&shorter).as_str(), shorter.earlier), ("system 3 c now", 2));
        let shortest = halved(&shorter);
        assert_eq!((texts(&shortest).as_str(), shortest.earlier), ("system now", 0));
        assert!(shortest.halved().is_none());
    }
}
