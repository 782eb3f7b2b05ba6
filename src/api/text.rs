//! A name or password in a body of JSON.

use serde_json::Value;

/// Bytes that are kept of a name or a password: more than either may have, so that one that is too long stays so.
const MOST_BYTES: usize = 2048;

/// A text, cut to 2 KiB so that a request that waits for its turn holds no more than that; `None`: it is no text.
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
