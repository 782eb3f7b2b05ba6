//! Where a text has what a person typed, as the index compares them.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use super::terms::{is_of_word, stands_alone, wanted_words};
use crate::domain::fold;

/// How a text is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// By any part of it, as names are.
    Parts,
    /// By the beginnings of its words, as texts are.
    Words,
}

/// What is looked for in a folded text.
struct Sought {
    letters: Vec<char>,
    /// Whether it may begin within a word.
    anywhere: bool,
}

/// Returns the places in a text, in bytes, that have what a person typed. They are in order, and do
/// not touch each other.
pub fn highlights(text: &str, typed: &str, matching: Matching) -> Vec<Range<usize>> {
    let sought = sought(typed, matching);
    let (letters, places) = letters(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in 0..letters.len() {
        let before = start.checked_sub(1).map(|place| letters[place]);
        let begins = before.is_none_or(|c| !is_of_word(c) || stands_alone(c));
        let here = sought
            .iter()
            .filter(|sought| (sought.anywhere || begins) && letters[start..].starts_with(&sought.letters));
        let Some(length) = here.map(|sought| sought.letters.len()).max() else { continue };
        let place = places[start].start..places[start + length - 1].end;
        match found.last_mut() {
            Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
            _ => found.push(place),
        }
    }
    found
}

fn sought(typed: &str, matching: Matching) -> Vec<Sought> {
    let all: Vec<Sought> = match matching {
        Matching::Parts => typed
            .split_whitespace()
            .map(|word| Sought { letters: fold(word).chars().collect(), anywhere: true })
            .collect(),
        Matching::Words => wanted_words(typed)
            .iter()
            .map(|term| {
                let anywhere = term.as_str().starts_with(stands_alone);
                Sought { letters: term.as_str().chars().collect(), anywhere }
            })
            .collect(),
    };
    all.into_iter().filter(|sought| !sought.letters.is_empty()).collect()
}

/// Returns the letters of the folded text, and the place in the text that each comes from.
fn letters(text: &str) -> (Vec<char>, Vec<Range<usize>>) {
    let (mut letters, mut places) = (Vec::new(), Vec::new());
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let mut end = start + c.len_utf8();
        while let Some((place, mark)) = rest.next_if(|(_, next)| !next.is_ascii() && is_combining_mark(*next))
        {
            end = place + mark.len_utf8();
        }
        let folded = fold(&text[start..end]);
        places.extend(folded.chars().map(|_| start..end));
        letters.extend(folded.chars());
    }
    (letters, places)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, typed: &str, matching: Matching) -> String {
        let mut shown = text.to_owned();
        for place in highlights(text, typed, matching).into_iter().rev() {
            shown.insert(place.end, ']');
            shown.insert(place.start, '[');
        }
        shown
    }

    #[test]
    fn what_was_typed_is_found_whatever_its_case_and_accents() {
        for (text, typed, expected) in [
            ("Refunds are refunded", "REFUND", "[Refund]s are [refund]ed"),
            ("a prefund", "refund", "a prefund"),
            ("Cafe\u{301} Été", "cafe ete", "[Cafe\u{301}] [Été]"),
            ("die Straße", "strass", "die [Straß]e"),
            ("iPhone手机很好", "机很", "iPhone手[机很]好"),
            ("see 2026-1187", "1187", "see 2026-[1187]"),
            ("<b>&amp;", "b", "<[b]>&amp;"),
            ("", "x", ""),
            ("x", "", "x"),
        ] {
            assert_eq!(shown(text, typed, Matching::Words), expected, "{typed}");
        }
        assert_eq!(shown("Mary.Jané", "y.ja", Matching::Parts), "Mar[y.Ja]né");
        assert_eq!(shown("王小明", "明", Matching::Parts), "王小[明]");
    }

    proptest! {
        #[test]
        fn each_place_is_part_of_the_text(text in any::<String>(), typed in "\\PC{0,4}") {
            for matching in [Matching::Parts, Matching::Words] {
                let places = highlights(&text, &typed, matching);
                for place in &places {
                    prop_assert!(text.get(place.clone()).is_some_and(|part| !part.is_empty()));
                }
                prop_assert!(places.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
