//! The terms of rows and of searches. They are made here and not by the databases, so that both
//! databases find the same rows, and nothing that a person types is query syntax.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

/// The most characters of a term. A longer word is found by its beginning.
const TERM_LENGTH: usize = 40;
/// The most terms of one text. Later words are not found.
const MOST_TERMS: usize = 5_000;
/// The most words of one search.
const MOST_WORDS: usize = 10;

/// A term of the index. Words contain only letters and digits, marks contain a `=`, so the two
/// cannot be confused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(String);

impl Term {
    /// Returns the term as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A mark: a known fact about a row that is not a word.
    ///
    /// Both databases take a term as one word only if it has nothing but letters, digits and `=`.
    /// So the sign of a negative number (which no stored row has) is spelt out.
    fn mark(kind: char, value: impl std::fmt::Display) -> Term {
        Term(format!("{kind}={value}").replace('-', "minus"))
    }

    /// The mark of a user's chats.
    pub fn user(id: i64) -> Term {
        Term::mark('u', id)
    }

    /// The mark of chats in a state.
    pub fn state(state: &str) -> Term {
        Term::mark('s', state)
    }

    /// The mark of chats with a model. The name may contain any character, so it is written in
    /// hexadecimal.
    pub fn model(model: &str) -> Term {
        let hex: String = model.bytes().take(100).map(|byte| format!("{byte:02x}")).collect();
        Term::mark('m', hex)
    }

    /// The mark of the block that contains `id`; blocks have `1 << bits` ids.
    pub fn block(id: i64, bits: u32) -> Term {
        let kind = if bits == SMALL_BLOCK { 'b' } else { 'c' };
        Term::mark(kind, id >> bits)
    }
}

/// The size of a small block of ids, as a power of 2.
pub(super) const SMALL_BLOCK: u32 = 15;
/// The size of a large block of ids, as a power of 2.
pub(super) const LARGE_BLOCK: u32 = 20;

/// Returns the different words of a text, in lower case: runs of letters and digits, and each
/// character of a script that puts no blanks between words.
pub fn words(text: &str) -> BTreeSet<Term> {
    let mut terms = BTreeSet::new();
    let mut word = String::new();
    for character in text.nfkc().flat_map(char::to_lowercase).chain([' ']) {
        if character.is_alphanumeric() && !stands_alone(character) {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            terms.insert(Term(word.chars().take(TERM_LENGTH).collect()));
            word.clear();
        }
        if stands_alone(character) {
            terms.insert(Term(character.to_string()));
        }
        if terms.len() >= MOST_TERMS {
            break;
        }
    }
    terms
}

/// Returns the words of what a person typed. A row must have all of them.
pub fn wanted_words(text: &str) -> BTreeSet<Term> {
    words(text).into_iter().take(MOST_WORDS).collect()
}

/// Returns whether a person typed more words than are searched for.
pub fn are_too_many(text: &str) -> bool {
    words(text).len() > MOST_WORDS
}

/// Returns whether a character is a word by itself: those of Han, Kana and the scripts of
/// South-East Asia that put no blanks between words.
fn stands_alone(character: char) -> bool {
    matches!(character, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
        && character.is_alphanumeric()
}

/// Returns the trigrams of a name, by which any part of it can be found.
pub fn trigrams(name: &str) -> BTreeSet<Term> {
    let characters: Vec<char> = name.chars().collect();
    let spelt = |window: &[char]| {
        let hex: Vec<String> =
            window.iter().map(|character| format!("{:x}", u32::from(*character))).collect();
        Term::mark('t', hex.join("x"))
    };
    characters.windows(3).map(spelt).collect()
}

/// Returns the marks of a chat.
pub fn marks(id: i64, user_id: i64, state: &str, model: &str) -> Vec<Term> {
    let mut marks = vec![Term::user(user_id), Term::state(state), Term::model(model)];
    marks.extend([Term::block(id, SMALL_BLOCK), Term::block(id, LARGE_BLOCK)]);
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(terms: impl IntoIterator<Item = Term>) -> Vec<String> {
        terms.into_iter().map(|term| term.0).collect()
    }

    #[test]
    fn words_are_what_people_would_look_for() {
        assert_eq!(
            shown(words("Refund, REFUND me—now! Ünïcode №5")),
            ["me", "no5", "now", "refund", "ünïcode"]
        );
        assert_eq!(shown(words("東京 tower")), ["tower", "京", "東"]);
        assert_eq!(shown(words("AND OR \"NEAR\" -x* u=5 :*")), ["5", "and", "near", "or", "u", "x"]);
    }

    #[test]
    fn any_part_of_a_name_shares_its_trigrams() {
        assert!(trigrams("mary.jane").is_superset(&trigrams("y.ja")));
        assert!(!trigrams("mary.jane").is_superset(&trigrams("yja")));
        assert!(trigrams("ab").is_empty());
    }

    #[test]
    fn a_mark_is_one_word_whatever_its_number_is() {
        for id in [i64::MIN, -1, 0, 1, i64::MAX] {
            for term in marks(id, id, "failed", "a/b-c:d é") {
                assert!(term.0.chars().all(|c| c.is_ascii_alphanumeric() || c == '='), "{term:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_gives_plain_words(text in any::<String>()) {
            for term in words(&text).into_iter().chain(trigrams(&text)) {
                prop_assert!(!term.0.is_empty() && term.0.chars().all(|c| c.is_alphanumeric() || c == '='));
            }
        }
    }
}
