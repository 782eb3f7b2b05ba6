//! Scripts are written as chat completions. A request to continue a prompt gets the same, in the
//! form of completions.

use serde_json::{Value, json};

use super::Step;

/// Returns what an upstream with this script says when it is asked to continue a prompt.
pub(super) fn as_completion(script: Vec<Step>) -> Vec<Step> {
    script.into_iter().map(continued).collect()
}

fn continued(step: Step) -> Step {
    match step {
        Step::Chunk(bytes) => Step::Chunk(continued_bytes(&bytes)),
        Step::Forever(bytes) => Step::Forever(continued_bytes(&bytes)),
        Step::Raw(bytes) => {
            // The head tells the length of the body, so the body keeps it.
            let (from, to) = (r#""message":{"role":"assistant","content":""}"#, r#""text":"""#);
            match String::from_utf8(bytes) {
                Ok(text) => {
                    Step::Raw(text.replace(from, &format!("{to:<width$}", width = from.len())).into_bytes())
                }
                Err(error) => Step::Raw(error.into_bytes()),
            }
        }
        step => step,
    }
}

fn continued_bytes(bytes: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return continued_part(bytes) };
    let lines = text.split_inclusive('\n').map(|line| {
        let data = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
        let Some(mut data) = data.filter(|data| data["choices"].is_array()) else { return line.to_owned() };
        for choice in data["choices"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(mut delta) = choice.remove("delta") {
                choice.insert("text".to_owned(), json!(delta["content"].take().as_str().unwrap_or_default()));
            }
        }
        let end = &line[line.trim_end().len()..];
        format!("data: {data}{end}")
    });
    lines.collect::<String>().into_bytes()
}

/// Translates a half of an event that was cut inside a character.
fn continued_part(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (from, to) in
        [(r#""delta":{"content":""#, r#""text":""#), (r#""},"finish_reason""#, r#"","finish_reason""#)]
    {
        let from = from.as_bytes();
        if let Some(place) = bytes.windows(from.len()).position(|part| part == from) {
            bytes.splice(place..place + from.len(), to.bytes());
        }
    }
    bytes
}
