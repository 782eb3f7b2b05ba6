//! What is looked for, and what it is looked up by: the same terms for both databases, made here and not by theirs, so
//! that both find the same and nothing that a person types is query syntax.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, Months, NaiveDateTime, TimeDelta, Timelike};
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

    /// A mark: something other than a word that is known of a row.
    fn mark(kind: char, value: impl std::fmt::Display) -> Term {
        Term(format!("{kind}={value}"))
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

    /// The time (UTC) in which something was, in one of the units that ranges are put together of.
    fn time(unit: Unit, at: NaiveDateTime) -> Term {
        match unit {
            Unit::Year => Term::mark('y', at.format("%Y")),
            Unit::Month => Term::mark('n', at.format("%Y%m")),
            Unit::Day => Term::mark('d', at.format("%Y%m%d")),
            Unit::Hour => Term::mark('h', at.format("%Y%m%d%H")),
            Unit::Quarter => Term::mark('q', format!("{}{}", at.format("%Y%m%d%H"), at.minute() / 15)),
        }
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

/// A piece of time. All time zones differ from UTC by quarters of an hour, so ranges of their days are made of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Quarter,
}

impl Unit {
    /// The largest first.
    const ALL: [Unit; 5] = [Unit::Year, Unit::Month, Unit::Day, Unit::Hour, Unit::Quarter];

    /// The end of the unit that begins here; `None`: none begins here.
    fn end(self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let quarter_hour = at.minute().is_multiple_of(15);
        let (hour, day) = (at.minute() == 0, at.minute() == 0 && at.hour() == 0);
        match self {
            Unit::Year if day && at.ordinal() == 1 => at.checked_add_months(Months::new(12)),
            Unit::Month if day && at.day() == 1 => at.checked_add_months(Months::new(1)),
            Unit::Day if day => at.checked_add_days(Days::new(1)),
            Unit::Hour if hour => at.checked_add_signed(TimeDelta::hours(1)),
            Unit::Quarter if quarter_hour => at.checked_add_signed(TimeDelta::minutes(15)),
            _ => None,
        }
    }
}

/// What a chat is found by besides its words.
pub fn marks(id: i64, user_id: i64, state: &str, model: &str, created_at: NaiveDateTime) -> Vec<Term> {
    let mut marks = vec![Term::user(user_id), Term::state(state), Term::model(model)];
    marks.extend(Unit::ALL.map(|unit| Term::time(unit, created_at)));
    marks.extend([Term::block(id, SMALL_BLOCK), Term::block(id, LARGE_BLOCK)]);
    marks
}

/// The marks of the time from `from` to before `to`, both at a quarter of an hour, as few as there can be: whole years,
/// months, days, hours, quarters.
pub fn range(from: NaiveDateTime, to: NaiveDateTime) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut at = from;
    while at < to && terms.len() < MOST_OF_A_RANGE {
        let units = Unit::ALL.iter().filter_map(|unit| Some((*unit, unit.end(at)?)));
        let Some((unit, end)) = units.into_iter().find(|(_, end)| *end <= to) else { break };
        terms.push(Term::time(unit, at));
        at = end;
    }
    terms
}

/// No range has more: 3 quarters, 23 hours, 30 days and 11 months at either end, and the years between.
const MOST_OF_A_RANGE: usize = 300;

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
    fn a_range_is_made_of_few_marks() {
        let at = |text: &str| format!("{text}:00").parse::<NaiveDateTime>().unwrap();
        let range = |from, to| shown(range(at(from), at(to)));
        assert_eq!(range("2026-11-24T00:00", "2026-11-25T00:00"), ["d=20261124"]);
        assert_eq!(
            range("2024-12-31T00:00", "2026-02-02T00:00"),
            ["d=20241231", "y=2025", "n=202601", "d=20260201"]
        );
        assert_eq!(
            range("2026-01-01T22:45", "2026-01-02T01:15"),
            ["q=20260101223", "h=2026010123", "h=2026010200", "q=20260102010"]
        );
        assert_eq!(range("2026-01-02T00:00", "2026-01-02T00:00"), [""; 0]);
    }

    proptest! {
        #[test]
        fn a_range_has_exactly_the_chats_in_it(from in 0..40_000i64, length in 0..40_000i64, probe in -5_000..90_000i64) {
            let zero = "2024-02-20T00:00:00".parse::<NaiveDateTime>().unwrap();
            let at = |quarters: i64| zero + TimeDelta::minutes(15 * quarters);
            let (start, end, moment) = (at(from), at(from + length), at(probe) + TimeDelta::seconds(899));
            let terms = range(start, end);
            let marks = marks(1, 1, "complete", "dummy", moment);
            let hits = marks.iter().filter(|mark| terms.contains(mark)).count();
            prop_assert_eq!(hits, usize::from(moment >= start && moment < end));
        }
    }

    #[test]
    fn any_part_of_a_name_shares_its_trigrams() {
        assert!(trigrams("mary.jane").is_superset(&trigrams("y.ja")));
        assert!(!trigrams("mary.jane").is_superset(&trigrams("yja")));
        assert!(trigrams("ab").is_empty());
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
