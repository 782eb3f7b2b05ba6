//! A client of `/v1`. It puts a stream together as OpenAI's Python library does, so whatever that
//! library would garble fails a test.

use serde_json::{Map, Value};

use crate::support::http::Answer;

/// What a client got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Got {
    pub status: u16,
    /// The error, as a response or as the last event of a stream.
    pub error: Option<Value>,
    /// The message and the finish reason of each choice. Fields without a value are left out.
    pub choices: Vec<(Value, Option<String>)>,
    pub usage: Option<Value>,
    /// Whether the answer is complete. A stream must have its proper end.
    pub is_whole: bool,
    /// What the library would garble.
    pub garbled: Vec<String>,
}

/// Reads a response.
///
/// # Errors
/// What is wrong with its form.
pub fn read(answer: &Answer) -> Result<Got, String> {
    let got = Got { status: answer.status, ..Got::default() };
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return read_stream(&answer.body, got);
    }
    let body: Value =
        serde_json::from_slice(&answer.body).map_err(|error| format!("{error}: {}", answer.text()))?;
    if answer.status != 200 {
        let error = body.get("error").filter(|error| error["code"].is_string());
        return Ok(Got { error: Some(error.ok_or_else(|| format!("not an error: {body}"))?.clone()), ..got });
    }
    let mut got = Got { usage: body.get("usage").cloned(), is_whole: true, ..got };
    for (place, choice) in body["choices"].as_array().ok_or("no choices")?.iter().enumerate() {
        let message = choice["message"].as_object().ok_or_else(|| format!("no message: {body}"))?;
        if choice["index"] != place {
            return Err(format!("choices out of order: {body}"));
        }
        let reason = choice["finish_reason"].as_str().map(str::to_owned);
        let message = plain(message, false, &mut got.garbled);
        got.choices.push((message, reason));
    }
    Ok(got)
}

fn read_stream(body: &[u8], mut got: Got) -> Result<Got, String> {
    let mut choices: Vec<(Map<String, Value>, Option<String>)> = Vec::new();
    for data in events(body) {
        if got.is_whole || got.error.is_some() {
            return Err(format!("something follows the end: {data}"));
        }
        if data == "[DONE]" {
            got.is_whole = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        if let Some(error) = chunk.get("error") {
            got.error = Some(error.clone());
            continue;
        }
        got.usage = chunk.get("usage").filter(|usage| !usage.is_null()).cloned().or(got.usage);
        for choice in chunk["choices"].as_array().ok_or_else(|| format!("no choices: {data}"))? {
            let index = choice["index"].as_u64().ok_or_else(|| format!("no index: {data}"))? as usize;
            if index >= choices.len() {
                choices.resize(index + 1, (Map::new(), None));
            }
            let (message, reason) = &mut choices[index];
            let delta = choice["delta"].as_object().ok_or_else(|| format!("no delta: {data}"))?;
            got.garbled.extend(accumulate(message, delta).err());
            if let Some(new) = choice["finish_reason"].as_str()
                && reason.replace(new.to_owned()).is_some()
            {
                got.garbled.push(format!("two finish reasons: {data}"));
            }
        }
    }
    for (message, reason) in choices {
        let message = plain(&message, true, &mut got.garbled);
        got.choices.push((message, reason));
    }
    Ok(got)
}

/// Returns the data of all events of our own streams, whose form is strict.
fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let events = text.split_terminator("\n\n").filter(|event| !event.starts_with(':'));
    events.map(|event| event.strip_prefix("data: ").unwrap_or("not an event").to_owned()).collect()
}

/// Adds the fields of a delta as `accumulate_delta` of the library does: every text is
/// concatenated, also ids and names, only `type` and `index` are replaced, and lists go by `index`.
fn accumulate(into: &mut Map<String, Value>, delta: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in delta {
        let Some(old) = into.get_mut(name).filter(|old| !old.is_null()) else {
            into.insert(name.clone(), value.clone());
            continue;
        };
        if name == "index" || name == "type" {
            *old = value.clone();
            continue;
        }
        match (old, value) {
            (Value::String(old), Value::String(new)) => old.push_str(new),
            (Value::Number(old), Value::Number(new)) => {
                let sum = old.as_f64().unwrap_or(0.0) + new.as_f64().unwrap_or(0.0);
                *old = serde_json::Number::from_f64(sum).ok_or("a sum that is too large")?;
            }
            (Value::Object(old), Value::Object(new)) => accumulate(old, new)?,
            (Value::Array(old), Value::Array(new)) => accumulate_list(old, new)?,
            // The library keeps what it has.
            _ => {}
        }
    }
    Ok(())
}

fn accumulate_list(old: &mut Vec<Value>, new: &[Value]) -> Result<(), String> {
    if old.iter().all(|value| value.is_string() || value.is_number()) {
        old.extend_from_slice(new);
        return Ok(());
    }
    for entry in new {
        let fields = entry.as_object().ok_or_else(|| format!("{entry} is not an object"))?;
        let index = fields.get("index").and_then(Value::as_u64);
        let index = index.ok_or_else(|| format!("an element of a list has no index: {entry}"))? as usize;
        match old.get_mut(index).and_then(Value::as_object_mut) {
            Some(old) => accumulate(old, fields)?,
            None => old.insert(index.min(old.len()), entry.clone()),
        }
    }
    Ok(())
}

/// Returns a message without its role, without fields that have no value, and without the indexes
/// of a stream. Only `type` may be missing in a tool call: some upstreams never send it. Numbers
/// are left out, because the library adds up those of a stream.
fn plain(message: &Map<String, Value>, is_streamed: bool, garbled: &mut Vec<String>) -> Value {
    let mut message = message.clone();
    if let Some(role) = message.remove("role").filter(|role| role != "assistant") {
        garbled.push(format!("the role is {role}"));
    }
    if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
        for (place, call) in calls.iter_mut().enumerate() {
            let Some(call) = call.as_object_mut() else {
                garbled.push("a tool call is not an object".to_owned());
                continue;
            };
            let index = call.remove("index");
            if is_streamed != index.as_ref().is_some_and(|index| *index == place) {
                garbled.push(format!("a tool call has the index {index:?} at {place}"));
            }
            call.retain(|name, value| !value.is_null() && (name != "type" || *value != "function"));
        }
    }
    message.retain(|_, value| !value.is_number());
    without_nothing(&Value::Object(message))
}

/// Returns an object without fields that have no value.
pub fn without_nothing(message: &Value) -> Value {
    let is_nothing = |value: &Value| [Value::Null, "".into(), Value::Array(Vec::new())].contains(value);
    let fields = message.as_object().into_iter().flatten().filter(|(_, value)| !is_nothing(value));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}
