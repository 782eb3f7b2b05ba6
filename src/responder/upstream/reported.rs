//! What an upstream's list of models says about each model. Servers differ in the fields that they
//! add to the protocol's own; what none of them says stays unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::call::Caller;
use crate::domain::has_more_values;

/// Time limit for the whole list.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest list that is read, in bytes.
const LONGEST_LIST: usize = 1 << 20;

/// The number of objects, lists and elements in a list. Each takes memory while it is read.
const MOST_VALUES: usize = 100_000;

/// The largest number of tokens that is believed.
const MOST_TOKENS: i64 = 100_000_000;

/// The properties of a model, as the upstream reports them. `None`: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedProperties {
    /// Whether it accepts images.
    pub accepts_images: Option<bool>,
    /// Whether it accepts audio.
    pub accepts_audio: Option<bool>,
    /// Whether it accepts tools.
    pub accepts_tools: Option<bool>,
    /// The most tokens of a prompt and its answer together.
    pub context_tokens: Option<i64>,
    /// The most tokens of an answer.
    pub max_output: Option<i64>,
}

impl Caller {
    /// Requests the list of models. Returns what it says about these.
    ///
    /// # Errors
    /// Why there is no list, for the log.
    pub(super) async fn list(
        &self,
        models: &[String],
    ) -> Result<BTreeMap<String, ReportedProperties>, &'static str> {
        let body = timeout(PATIENCE, self.body_of_list()).await.map_err(|_| "it took too long")??;
        read(&body, models).ok_or("it cannot be read")
    }

    async fn body_of_list(&self) -> Result<Vec<u8>, &'static str> {
        let lost = |_| "the connection failed";
        let mut response = self.models_request().send().await.map_err(lost)?;
        if !response.status().is_success() {
            return Err("its status is an error");
        }
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(lost)? {
            if body.len() + bytes.len() > LONGEST_LIST {
                return Err("it is too long");
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }
}

/// Returns what a list says about these models. `None` if it is not a list of models.
fn read(body: &[u8], models: &[String]) -> Option<BTreeMap<String, ReportedProperties>> {
    if has_more_values(body, MOST_VALUES) {
        return None;
    }
    let list: Value = serde_json::from_slice(body).ok()?;
    // llama.cpp has two lists of the same models, and `meta` only in `data`.
    let mut found = BTreeMap::new();
    let lists = ["models", "data"].into_iter().filter_map(|name| list.get(name)?.as_array());
    for entry in lists.flatten() {
        let name = ["id", "model", "name"].into_iter().find_map(|field| entry.get(field)?.as_str());
        if let Some(name) = name.and_then(|name| models.iter().find(|model| *model == name)) {
            let known: &mut ReportedProperties = found.entry(name.clone()).or_default();
            *known = of_entry(entry).or(*known);
        }
    }
    list.is_object().then_some(found)
}

impl ReportedProperties {
    fn or(self, other: ReportedProperties) -> ReportedProperties {
        ReportedProperties {
            accepts_images: self.accepts_images.or(other.accepts_images),
            accepts_audio: self.accepts_audio.or(other.accepts_audio),
            accepts_tools: self.accepts_tools.or(other.accepts_tools),
            context_tokens: self.context_tokens.or(other.context_tokens),
            max_output: self.max_output.or(other.max_output),
        }
    }
}

fn of_entry(entry: &Value) -> ReportedProperties {
    let at = |path: &str| entry.pointer(path);
    // OpenRouter lists what it takes: what is not listed is not accepted.
    let modalities = Words::at(at("/architecture/input_modalities").or(at("/input_modalities")));
    let parameters = Words::at(at("/supported_parameters"));
    // Ollama, llama.cpp and LM Studio list abilities. What is missing may still work.
    let abilities = Words::at(at("/capabilities"));
    let flag = |names: &[&str]| names.iter().find_map(|name| entry.get("capabilities")?.get(name)?.as_bool());
    let is_vision_model = entry.get("type").is_some_and(|kind| kind == "vlm");
    ReportedProperties {
        accepts_images: modalities
            .has(&["image"])
            .or(flag(&["vision", "image_input", "images"]))
            .or(abilities.lists(&["vision", "image", "multimodal"]))
            .or(is_vision_model.then_some(true)),
        accepts_audio: modalities
            .has(&["audio"])
            .or(flag(&["audio", "audio_input"]))
            .or(abilities.lists(&["audio"])),
        accepts_tools: parameters
            .has(&["tools"])
            .or(flag(&["function_calling", "tools", "tool_calling", "tool_calls"]))
            .or(abilities.lists(&["tools", "tool_use", "function_calling"])),
        context_tokens: tokens(
            entry,
            &[
                "/context_length",
                "/max_model_len",
                "/context_window",
                "/max_context_length",
                "/meta/n_ctx",
                "/meta/n_ctx_train",
            ],
        ),
        max_output: tokens(entry, &["/top_provider/max_completion_tokens", "/max_completion_tokens"]),
    }
}

/// Returns the first of these numbers that can be a number of tokens.
fn tokens(entry: &Value, paths: &[&str]) -> Option<i64> {
    let numbers = paths.iter().filter_map(|path| entry.pointer(path)?.as_i64());
    numbers.into_iter().find(|tokens| (1..=MOST_TOKENS).contains(tokens))
}

/// A list of words in an entry, if there is one.
struct Words<'a>(Option<&'a Vec<Value>>);

impl<'a> Words<'a> {
    fn at(value: Option<&'a Value>) -> Words<'a> {
        Words(value.and_then(Value::as_array).filter(|words| !words.is_empty()))
    }

    /// Whether the list has one of the words. `None` if there is no list.
    fn has(&self, wanted: &[&str]) -> Option<bool> {
        let words = self.0?;
        Some(words.iter().filter_map(Value::as_str).any(|word| wanted.contains(&word)))
    }

    /// `Some(true)` if the list has one of the words.
    fn lists(&self, wanted: &[&str]) -> Option<bool> {
        self.has(wanted).filter(|has| *has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(mut entry: Value) -> ReportedProperties {
        entry["id"] = json!("m");
        let list = json!({ "object": "list", "data": [{ "id": "other", "context_length": 1 }, entry] });
        let found = read(list.to_string().as_bytes(), &["m".to_owned()]).unwrap();
        assert_eq!(found.len(), 1, "only models on offer are kept");
        found["m"]
    }

    const UNKNOWN: ReportedProperties = ReportedProperties {
        accepts_images: None,
        accepts_audio: None,
        accepts_tools: None,
        context_tokens: None,
        max_output: None,
    };

    #[test]
    fn the_fields_of_each_kind_of_server_are_known() {
        let openrouter = json!({
            "context_length": 131_072, "top_provider": { "max_completion_tokens": 8192 },
            "architecture": { "input_modalities": ["text", "image"] },
            "supported_parameters": ["temperature", "tools"],
        });
        let wanted = ReportedProperties {
            accepts_images: Some(true),
            accepts_audio: Some(false),
            accepts_tools: Some(true),
            context_tokens: Some(131_072),
            max_output: Some(8192),
        };
        assert_eq!(of(openrouter), wanted);
        let mistral = json!({ "max_context_length": 32_768,
                              "capabilities": { "vision": false, "function_calling": true } });
        let wanted = ReportedProperties {
            accepts_images: Some(false),
            accepts_tools: Some(true),
            context_tokens: Some(32_768),
            ..UNKNOWN
        };
        assert_eq!(of(mistral), wanted);
        let abilities = json!({ "capabilities": ["completion", "vision", "tools"] });
        let wanted = ReportedProperties { accepts_images: Some(true), accepts_tools: Some(true), ..UNKNOWN };
        assert_eq!(of(abilities), wanted);
        let groq = json!({ "context_window": 8192, "max_completion_tokens": 4096 });
        let wanted = ReportedProperties { context_tokens: Some(8192), max_output: Some(4096), ..UNKNOWN };
        assert_eq!(of(groq), wanted);
        assert_eq!(of(json!({ "max_model_len": 4096 })).context_tokens, Some(4096));
        assert_eq!(of(json!({ "type": "vlm" })).accepts_images, Some(true));
    }

    #[test]
    fn what_no_field_says_is_unknown() {
        for entry in [
            json!({}),
            json!({ "type": "llm", "capabilities": ["completion"] }),
            json!({ "capabilities": {}, "supported_parameters": [], "architecture": null, "meta": [] }),
            json!({ "context_length": 0, "max_model_len": -1, "max_completion_tokens": "many" }),
            json!({ "context_length": 1e18, "capabilities": { "vision": "yes" } }),
        ] {
            assert_eq!(of(entry.clone()), UNKNOWN, "{entry}");
        }
    }

    #[test]
    fn the_two_lists_of_llama_cpp_are_read_together() {
        let list = json!({
            "models": [{ "name": "m", "model": "m", "capabilities": ["completion", "multimodal"] }],
            "data": [{ "id": "m", "meta": { "n_ctx": 2048, "n_ctx_train": 32_768 } }],
        });
        let found = read(list.to_string().as_bytes(), &["m".to_owned()]).unwrap();
        assert_eq!((found["m"].accepts_images, found["m"].context_tokens), (Some(true), Some(2048)));
    }

    #[test]
    fn anything_else_is_not_a_list() {
        for text in ["", "[]", "7", "<html>", "{\"data\""] {
            assert_eq!(read(text.as_bytes(), &["m".to_owned()]), None, "{text}");
        }
        let bomb = format!("{{\"data\":[{}0]}}", "0,".repeat(MOST_VALUES));
        assert_eq!(read(bomb.as_bytes(), &["m".to_owned()]), None);
        assert_eq!(read(b"{\"data\":7}", &["m".to_owned()]), Some(BTreeMap::new()));
    }
}
