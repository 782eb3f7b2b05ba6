//! The question to a model, in the form of the OpenAI protocol.

use serde_json::{Map, Value};

use crate::domain::estimate;

/// A conversation that the model is to continue.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The model's name, one of those on offer.
    pub model: String,
    /// The messages, the oldest first, in the protocol's form.
    pub messages: Vec<Value>,
    /// The most tokens of the answer, at least 1.
    pub max_output: u32,
    /// Further fields of the request, passed on unchanged (`temperature`, `stop`, `tools`, …).
    pub options: Map<String, Value>,
}

/// Tokens that a model's template may add around the messages.
const TEMPLATE: i64 = 64;

/// Tokens that a picture or a recording may take beyond the bytes of its part. A web address, for
/// example, is shorter than what it refers to.
const A_MEDIUM: i64 = 2000;

/// The estimated tokens of a picture or a recording, for when the upstream reports no usage.
const A_USUAL_MEDIUM: i64 = 1000;

impl Question {
    /// Makes a question of one message, without earlier turns.
    pub fn of_message(model: &str, message: &str, max_output: u32) -> Question {
        let messages = vec![message_of("user", message)];
        Question { model: model.to_owned(), messages, max_output, options: Map::new() }
    }

    /// Returns an upper bound of the prompt's tokens: no token is shorter than a byte. The names
    /// and brackets of the JSON, and a small addition, cover what a model's template adds.
    pub fn prompt_bound(&self) -> i64 {
        let media = self.media().fold(0, |media: i64, _| media.saturating_add(A_MEDIUM));
        self.prompt_bytes().saturating_add(TEMPLATE).saturating_add(media)
    }

    /// Estimates the tokens of the prompt, for when the upstream reports no usage.
    pub fn prompt_estimate(&self) -> i64 {
        let (media, bytes) = self.media().map(json_bytes).fold((0_i64, 0_i64), |(media, all), bytes| {
            (media.saturating_add(A_USUAL_MEDIUM), all.saturating_add(bytes))
        });
        estimate(self.prompt_bytes() - bytes).saturating_add(media)
    }

    /// Returns the parts of messages that are not text.
    fn media(&self) -> impl Iterator<Item = &Value> {
        let parts = self.messages.iter().filter_map(|message| message.get("content")?.as_array());
        parts.flatten().filter(|part| part.get("type").is_some_and(|kind| kind != "text"))
    }

    /// Returns the bytes of everything that the model reads.
    fn prompt_bytes(&self) -> i64 {
        let messages = self.messages.iter().map(json_bytes);
        let read =
            ["tools", "functions", "response_format"].iter().filter_map(|name| self.options.get(*name));
        messages.chain(read.map(json_bytes)).fold(0, i64::saturating_add)
    }
}

/// Makes a message in the protocol's form.
pub fn message_of(role: &str, content: &str) -> Value {
    serde_json::json!({ "role": role, "content": content })
}

/// Returns the length of a value as JSON, without building the text, which may be as large as a
/// body.
fn json_bytes(value: &Value) -> i64 {
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

    #[test]
    fn the_bound_covers_tools_and_the_template() {
        let mut question = Question::of_message("m", "hi", 10);
        let plain = question.prompt_bound();
        assert!(plain >= 64 + 2);
        question.options.insert("tools".into(), serde_json::json!([{ "type": "function" }]));
        question.options.insert("temperature".into(), serde_json::json!(0.5));
        assert_eq!(question.prompt_bound(), plain + 21);
    }

    #[test]
    fn a_picture_is_more_than_its_address_and_less_than_its_bytes() {
        let mut question = Question::of_message("m", "hi", 10);
        let (bound, estimate) = (question.prompt_bound(), question.prompt_estimate());
        let picture = |url: &str| serde_json::json!({ "type": "image_url", "image_url": { "url": url } });
        let text = serde_json::json!({ "type": "text", "text": "hi" });
        question.messages[0]["content"] = serde_json::json!([text, picture("https://a.example/b.png")]);
        assert!(question.prompt_bound() > bound + 2000);
        question.messages[0]["content"] = serde_json::json!([text, picture(&"x".repeat(100_000))]);
        assert!(question.prompt_bound() > 100_000);
        assert!((estimate + 1000..estimate + 1050).contains(&question.prompt_estimate()));
    }
}
