//! Halves of UTF-16 surrogate pairs. A JSON text may contain one alone (RFC 8259, section 8.2), and
//! some upstreams cut a text between the two halves of a character: `"\ud83d"` ends one part, and
//! `"\ude00"` begins the next. No Rust string can hold a half, so a half travels as a character of
//! a private-use plane until its other half has arrived.

use std::borrow::Cow;

/// The characters that stand for halves: one for each of the 2,048.
const FIRST: u32 = 0x0010_F000;
const HALVES: u32 = 0x800;
/// The first half of a pair is below this, counted from U+D800.
const LOW: u32 = 0x400;

/// Replaces lone halves in a JSON text by the characters that stand for them. Returns whether there
/// were any. If the text itself contains one of these characters, lone halves become U+FFFD.
pub(super) fn replace_lone(json: &[u8]) -> (Cow<'_, [u8]>, bool) {
    if !json.windows(3).any(|window| window[..2] == *b"\\u" && window[2].eq_ignore_ascii_case(&b'd')) {
        return (Cow::Borrowed(json), false);
    }
    let is_ambiguous = has_stand_in(json) || has_escaped_stand_in(json);
    let (mut out, mut rest, mut any) = (Vec::with_capacity(json.len()), json, false);
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let taken = match (half_of(rest), half_of(rest.get(6..).unwrap_or_default())) {
            (Some(0..LOW), Some(LOW..HALVES)) => {
                out.extend_from_slice(&rest[..12]);
                12
            }
            (Some(half), _) => {
                any = true;
                let stand_in = char::from_u32(FIRST + half).filter(|_| !is_ambiguous);
                out.extend_from_slice(
                    stand_in.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes(),
                );
                6
            }
            (None, _) => {
                let taken = rest.len().min(2);
                out.extend_from_slice(&rest[..taken]);
                taken
            }
        };
        rest = &rest[taken..];
    }
    out.extend_from_slice(rest);
    (Cow::Owned(out), any && !is_ambiguous)
}

/// Returns the half that a text begins with, as an escape of JSON, counted from U+D800.
fn half_of(json: &[u8]) -> Option<u32> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    code.checked_sub(0xD800).filter(|half| *half < HALVES)
}

/// Returns whether a text contains a character that stands for a half.
fn has_stand_in(text: &[u8]) -> bool {
    text.windows(3).any(|window| window[..2] == [0xF4, 0x8F] && (0x80..0xA0).contains(&window[2]))
}

/// Returns whether a JSON text contains such a character as two escapes: U+10F000 to U+10F7FF begin
/// with `\udbfc` or `\udbfd`.
fn has_escaped_stand_in(json: &[u8]) -> bool {
    json.windows(6).any(|window| matches!(half_of(window), Some(0x3FC | 0x3FD)))
}

/// Joins halves in a text that arrives in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Joiner {
    /// The first half at the end of the last part.
    first: Option<u32>,
}

impl Joiner {
    /// Returns a part with its halves joined to those of the part before it. A half without the
    /// other one becomes U+FFFD. A first half at the end waits for the next part.
    pub(super) fn join(&mut self, part: String) -> String {
        if self.first.is_none() && !has_stand_in(part.as_bytes()) {
            return part;
        }
        let mut out = String::with_capacity(part.len());
        for c in part.chars() {
            let half = u32::from(c).checked_sub(FIRST).filter(|half| *half < HALVES);
            match (self.first.take(), half) {
                (Some(first), Some(second @ LOW..)) => {
                    let code = 0x1_0000 + (first << 10) + (second - LOW);
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    continue;
                }
                (Some(_), _) => out.push(char::REPLACEMENT_CHARACTER),
                (None, _) => {}
            }
            match half {
                Some(first @ ..LOW) => self.first = Some(first),
                Some(_) => out.push(char::REPLACEMENT_CHARACTER),
                None => out.push(c),
            }
        }
        out
    }

    /// Ends the text. Returns what remains of a first half that waits.
    pub(super) fn end(&mut self) -> &'static str {
        if self.first.take().is_some() { "\u{fffd}" } else { "" }
    }

    /// Returns whether a first half waits for its other half.
    pub(super) fn is_waiting(&self) -> bool {
        self.first.is_some()
    }
}

/// Replaces all halves in a text that is complete.
pub(super) fn without_halves(text: String) -> String {
    let mut joiner = Joiner::default();
    let mut text = joiner.join(text);
    text.push_str(joiner.end());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> String {
        let (bytes, _) = replace_lone(json.as_bytes());
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn halves_in_two_parts_are_joined() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.join(parse(r#""a\ud83d""#)), "a");
        assert!(joiner.is_waiting());
        assert_eq!(joiner.join(String::new()), "");
        assert_eq!(joiner.join(parse(r#""\uDE00b""#)), "😀b");
        assert_eq!(joiner.end(), "");
    }

    #[test]
    fn a_lone_half_becomes_the_replacement_character() {
        for (json, text) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ude00x""#, "\u{fffd}x"),
            (r#""\ud83dx""#, "\u{fffd}x"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\n\\ud83d""#, "\u{fffd}\n\\ud83d"),
            (r#""\ud83d\ude00""#, "😀"),
        ] {
            assert_eq!(without_halves(parse(json)), text, "{json}");
        }
    }

    #[test]
    fn a_text_with_private_characters_keeps_them() {
        let private = "\u{10F0AB}";
        let (bytes, has_halves) = replace_lone("\"\u{10F0AB}\\ud83d\"".as_bytes());
        assert!(!has_halves);
        assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), format!("{private}\u{fffd}"));
        let (bytes, has_halves) = replace_lone(br#""\udbfc\udcab\ud83d""#);
        assert!(!has_halves);
        assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), format!("{private}\u{fffd}"));
        assert!(!replace_lone("\"\u{10F0AB}\"".as_bytes()).1);
    }
}
