//! What is asked of a model, in the OpenAI protocol's own shapes.

use serde_json::{Map, Value};

use super::usage::estimate;

/// A conversation to be gone on with.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The model's name, one of those on offer.
    pub model: String,
    /// The messages, the oldest first, each as the protocol has it.
    pub messages: Vec<Value>,
    /// The most tokens of the answer, at least 1.
    pub max_output: u32,
    /// Further fields of the request, passed on as they came (`temperature`, `stop`, `tools`, …).
    pub options: Map<String, Value>,
}

/// Tokens that a model's template may add around the messages.
const TEMPLATE: i64 = 64;

impl Question {
    /// A message of one's own, with nothing before it.
    pub fn of_message(model: &str, message: &str, max_output: u32) -> Question {
        let messages = vec![message_of("user", message)];
        Question { model: model.to_owned(), messages, max_output, options: Map::new() }
    }

    /// More tokens than the prompt can have: no token is shorter than a byte. What a model's template adds is covered by
    /// the names and brackets of the JSON, and by a little on top.
    pub fn prompt_bound(&self) -> i64 {
        self.prompt_bytes().saturating_add(TEMPLATE)
    }

    /// About how many tokens the prompt has, where the upstream does not say.
    pub fn prompt_estimate(&self) -> i64 {
        estimate(self.prompt_bytes())
    }

    /// The bytes of everything that the model reads.
    fn prompt_bytes(&self) -> i64 {
        let messages = self.messages.iter().map(json_bytes);
        let read =
            ["tools", "functions", "response_format"].iter().filter_map(|name| self.options.get(*name));
        messages.chain(read.map(json_bytes)).fold(0, i64::saturating_add)
    }
}

/// A message as the protocol has it.
pub fn message_of(role: &str, content: &str) -> Value {
    serde_json::json!({ "role": role, "content": content })
}

fn json_bytes(value: &Value) -> i64 {
    i64::try_from(value.to_string().len()).unwrap_or(i64::MAX)
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
}
