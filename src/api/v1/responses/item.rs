//! The fields of an item of an input.

use serde_json::{Map, Value};

use crate::domain::Invalid;
use crate::error::{Error, Result};

/// The error of an item that cannot be read.
pub(super) fn wrong(reason: &str) -> Error {
    Error::Invalid(Invalid::new("input", reason))
}

/// Takes a text that an item must have.
pub(super) fn text(item: &mut Map<String, Value>, name: &str) -> Result<String> {
    match item.remove(name) {
        Some(Value::String(text)) => Ok(text),
        // Some clients send arguments as an object.
        Some(object @ Value::Object(_)) if name == "arguments" => Ok(object.to_string()),
        _ => {
            let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
            Err(wrong(&format!("give items of the type {kind:?} their {name:?} as text")))
        }
    }
}
