//! The fields of a form, in either encoding: a limited number, and only texts that JSON could
//! contain, too.

use serde_json::{Map, Value};

use crate::api::body::unreadable;
use crate::domain::Invalid;

/// The most fields of a form, as in Django.
const MOST_FIELDS: usize = 1000;

/// The fields of a form that is being read.
#[derive(Default)]
pub(super) struct Fields {
    fields: Map<String, Value>,
    count: usize,
}

impl Fields {
    /// Adds a field, or replaces the one of the same name.
    pub(super) fn insert(&mut self, name: String, value: String) -> Result<(), Invalid> {
        self.count += 1;
        if self.count > MOST_FIELDS {
            return Err(unreadable(format!("a form has at most {MOST_FIELDS} fields")));
        }
        self.fields.insert(name, Value::String(value));
        Ok(())
    }

    /// Returns all fields.
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.fields
    }
}

/// Returns the text of a name or a value, under the same rules as in JSON.
pub(super) fn text(bytes: Vec<u8>, charset: Option<&str>) -> Result<String, Invalid> {
    let is_utf8 =
        charset.is_none_or(|name| ["utf-8", "utf8"].iter().any(|utf8| name.eq_ignore_ascii_case(utf8)));
    // Some Java clients name ISO-8859-1 whatever they send. ASCII is the same in both.
    if !is_utf8 && !bytes.is_ascii() {
        return Err(unreadable("it is not UTF-8: send UTF-8 and name no other charset"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))?;
    if text.contains('\0') { Err(unreadable("it contains U+0000")) } else { Ok(text) }
}
