//! What is looked for, and what it is looked up by: the same terms for both databases, made here and not by theirs, so
//! that both find the same and nothing that a person types is query syntax.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

/// Characters of a term; a longer word is found by its beginning.
const TERM_LENGTH: usize = 40;
/// Terms of one text; what stands after so many different words is not found.
const MOST_TERMS: usize = 5_000;
/// Words that one search looks for.
const MOST_WORDS: usize = 10;

/// Where a term comes from keeps them apart: words hold letters and digits only, marks have an `=`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(String);

impl Term {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A mark: a known fact about a row that is not a word.
    ///
    /// Both databases take a term as one word only if it has nothing but letters, digits and `=`. So the sign
    /// of a negative number (which no stored row has) is spelt out.
    fn mark(kind: char, value: impl std::fmt::Display) -> Term {
        Term(format!("{kind}={value}").replace('-', "minus"))
    }

    pub fn user(id: i64) -> Term {
        Term::mark('u', id)
    }

    pub fn state(state: &str) -> Term {
        Term::mark('s', state)
    }

    /// A model; its name may hold anything, so it is spelt out.
    pub fn model(model: &str) -> Term {
        let hex: String = model.bytes().take(100).map(|byte| format!("{byte:02x}")).collect();
        Term::mark('m', hex)
    }

    /// The block of ids that an id is in, of `1 << bits` each.
    pub fn block(id: i64, bits: u32) -> Term {
        let kind = if bits == SMALL_BLOCK { 'b' } else { 'c' };
        Term::mark(kind, id >> bits)
    }
}

/// Ids of a small block: 2 to the power of this.
pub const SMALL_BLOCK: u32 = 15;
/// The same of a large one.
pub const LARGE_BLOCK: u32 = 20;

/// The different words of a text, in lower case: runs of letters and digits, and each character of a script that
/// writes no blanks.
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

/// The words of what a person typed; all must be found.
pub fn wanted_words(text: &str) -> BTreeSet<Term> {
    words(text).into_iter().take(MOST_WORDS).collect()
}

/// Whether more was typed than is looked for.
pub fn are_too_many(text: &str) -> bool {
    words(text).len() > MOST_WORDS
}

/// Han, Kana, Hangul's neighbours and the scripts of South-East Asia that put no blanks between words.
fn stands_alone(character: char) -> bool {
    matches!(character, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
        && character.is_alphanumeric()
}

/// The parts of a name of three characters each, by which any part of it is found.
pub fn trigrams(name: &str) -> BTreeSet<Term> {
    let characters: Vec<char> = name.chars().collect();
    let spelt = |window: &[char]| {
        let hex: Vec<String> =
            window.iter().map(|character| format!("{:x}", u32::from(*character))).collect();
        Term::mark('t', hex.join("x"))
    };
    characters.windows(3).map(spelt).collect()
}

/// What a chat is found by besides its words.
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
