//! What a search has found, with what was typed marked in it.

use crate::index::search::{Matching, highlights};

/// The characters that are shown before the first hit in a text.
const BEFORE: usize = 40;
/// The characters that are shown from the first hit on.
const AFTER: usize = 80;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Part {
    pub text: String,
    /// Whether it is what was typed.
    pub is_hit: bool,
}

/// A row, a page or an action that was found.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Hit {
    pub href: String,
    /// The text of the link.
    pub label: Vec<Part>,
    /// A part of the text in which it was found, or something else that tells it from others.
    pub text: Vec<Part>,
    /// Whether it was found by its id.
    pub is_by_id: bool,
}

/// Returns a whole text, without a mark.
pub(in crate::panel) fn plain(text: impl Into<String>) -> Vec<Part> {
    vec![Part { text: text.into(), is_hit: false }]
}

/// Marks what was typed in a whole text.
pub(in crate::panel) fn marked(text: &str, typed: &str, matching: Matching) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |text: &str, is_hit| {
        if !text.is_empty() {
            parts.push(Part { text: text.to_owned(), is_hit });
        }
    };
    let mut end = 0;
    for place in highlights(text, typed, matching) {
        add(&text[end..place.start], false);
        add(&text[place.clone()], true);
        end = place.end;
    }
    add(&text[end..], false);
    parts
}

/// Returns the part of a text around the first hit, on one line. `None` if it has no hit.
pub(in crate::panel) fn snippet(text: &str, typed: &str) -> Option<Vec<Part>> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = highlights(&line, typed, Matching::Words).into_iter().next()?;
    let start = line[..first.start].char_indices().rev().nth(BEFORE - 1).map_or(0, |(place, _)| place);
    let end =
        line[first.start..].char_indices().nth(AFTER).map_or(line.len(), |(place, _)| first.start + place);
    let end = end.max(first.end);
    // Marked in the whole line, since a part of it may begin within a word.
    let mut parts = Vec::new();
    let mut place = 0;
    for part in marked(&line, typed, Matching::Words) {
        let (from, to) = (place.max(start), (place + part.text.len()).min(end));
        if from < to {
            parts.push(Part { text: line[from..to].to_owned(), is_hit: part.is_hit });
        }
        place += part.text.len();
    }
    if start > 0 {
        parts.insert(0, Part { text: "…".to_owned(), is_hit: false });
    }
    if end < line.len() {
        parts.push(Part { text: "…".to_owned(), is_hit: false });
    }
    Some(parts)
}

/// Returns the beginning of a text, on one line.
pub(in crate::panel) fn beginning(text: &str) -> Vec<Part> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(AFTER) {
        Some((end, _)) => plain(format!("{}…", &line[..end])),
        None if line.is_empty() => Vec::new(),
        None => plain(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[Part]) -> String {
        parts
            .iter()
            .map(|part| if part.is_hit { format!("[{}]", part.text) } else { part.text.clone() })
            .collect()
    }

    #[test]
    fn a_snippet_is_the_surroundings_of_the_first_hit() {
        let long = format!("{} the\n\nneedle {} needles {}", "hay ".repeat(50), "hay", "straw ".repeat(50));
        let snippet = shown(&snippet(&long, "NEEDLE").unwrap());
        assert!(snippet.starts_with("…") && snippet.ends_with('…'), "{snippet}");
        assert!(snippet.contains("hay the [needle] hay [needle]s straw"), "{snippet}");
        assert_eq!(snippet.chars().count(), BEFORE + AFTER + 2 + 4);
    }

    #[test]
    fn a_short_text_is_shown_whole_and_one_without_a_hit_is_none() {
        assert_eq!(shown(&snippet("a needle", "needle").unwrap()), "a [needle]");
        assert_eq!(snippet("a needle", "hay"), None);
        assert_eq!(shown(&marked("Ada", "da", Matching::Parts)), "A[da]");
        assert_eq!(shown(&beginning(" a\nb ")), "a b");
    }
}
