//! Names and passwords in JSON bodies.

use serde_json::Value;

/// The number of bytes kept of a name or a password. It is more than either may have, so one that
/// is too long is still rejected.
const MOST_BYTES: usize = 2048;

/// Returns the text, cut to 2 KiB so that a waiting request holds no more than that. `None` if the
/// value is not a text.
pub(super) fn short(value: Option<Value>) -> Option<String> {
    let Some(Value::String(text)) = value else { return None };
    Some(text[..text.floor_char_boundary(MOST_BYTES)].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_stays_too_long() {
        assert_eq!(short(Some("ada".into())).as_deref(), Some("ada"));
        assert_eq!(short(Some(7.into())), None);
        let cut = short(Some("€".repeat(1000).into())).unwrap();
        assert_eq!((cut.len(), cut.chars().all(|c| c == '€')), (2046, true));
    }
}
