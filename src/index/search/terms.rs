//! The terms of rows and of searches. They are made here and not by the databases, so that both
//! databases find the same rows, and nothing that a person types is query syntax.
//!
//! Each term that is searched for is stored as it is. Neither database could limit a search for all
//! terms with a beginning to a few rows, so the beginnings of words are terms of their own.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use unicode_normalization::char::is_combining_mark;

use crate::domain::fold;

/// The most characters of a word. Of a longer one, in a text or in a search, only the first count.
const WORD_LENGTH: usize = 16;
/// The most bytes of the terms of one row, those of about 5,000 words. Later words are not found.
/// (PostgreSQL stores up to a megabyte.)
const MOST_BYTES: usize = 128 * 1024;
/// The most words of one search.
const MOST_WORDS: usize = 10;
/// The most pairs of characters that are searched for of one run.
const MOST_PAIRS: usize = 20;

/// A term of the index. Words contain only letters, digits and the marks on them. What is not a
/// word begins with `=`, so the two cannot be confused, nor can the beginnings of words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        Term(format!("={kind}{value}").replace('-', "minus"))
    }

    /// The mark of what belongs to a user, or concerns the user.
    pub fn user(id: i64) -> Term {
        Term::mark('u', id)
    }

    /// The mark of what an administrator did.
    pub fn actor(id: i64) -> Term {
        Term::mark('a', id)
    }

    /// The mark of chats in a state.
    pub fn state(state: &str) -> Term {
        Term::mark('s', state)
    }

    /// The mark of chats with a model. The name may contain any character, so it is written in
    /// hexadecimal.
    pub fn model(model: &str) -> Term {
        Term::mark('m', in_hexadecimal(model))
    }

    /// The mark of chats that came through the endpoint with this code.
    pub fn endpoint(code: &str) -> Term {
        Term::mark('e', in_hexadecimal(code))
    }

    /// The mark of chats whose endpoint is recorded.
    pub fn any_endpoint() -> Term {
        Term::endpoint("")
    }

    /// The mark of ledger entries of a kind, or of what was done to an object of a kind.
    pub fn kind(code: &str) -> Term {
        Term::mark('k', in_hexadecimal(code))
    }

    /// The mark of what was done, by the code of the action.
    pub fn action(code: &str) -> Term {
        Term::mark('x', in_hexadecimal(code))
    }

    /// The mark of what was done to the object with this id, whatever its kind.
    pub fn object(id: i64) -> Term {
        Term::mark('o', id)
    }

    /// The mark of the block that contains `id`; blocks have `1 << bits` ids.
    pub fn block(id: i64, bits: u32) -> Term {
        let kind = if bits == SMALL_BLOCK { 'b' } else { 'c' };
        Term::mark(kind, id >> bits)
    }
}

fn in_hexadecimal(text: &str) -> String {
    text.bytes().take(100).map(|byte| format!("{byte:02x}")).collect()
}

/// The size of a small block of ids, as a power of 2.
pub(super) const SMALL_BLOCK: u32 = 15;
/// The size of a large block of ids, as a power of 2.
pub(super) const LARGE_BLOCK: u32 = 20;

/// Returns the marks of the two blocks that contain an id.
pub(super) fn blocks_of(id: i64) -> [Term; 2] {
    [Term::block(id, SMALL_BLOCK), Term::block(id, LARGE_BLOCK)]
}

/// A part of a folded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Letters and digits. It is found by its beginning.
    Word(&'a str),
    /// Characters of scripts that put no blanks between words. Any part of it is found.
    Run(&'a str),
}

/// Splits a folded text.
fn pieces(folded: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(is_of_word)?..];
        let is_run = rest.starts_with(stands_alone);
        let end = rest.find(|c| !is_of_word(c) || stands_alone(c) != is_run).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(if is_run { Piece::Run(piece) } else { Piece::Word(cut(piece)) })
    })
}

/// Returns whether a character is part of a word.
pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || (!c.is_ascii() && is_combining_mark(c))
}

/// Returns whether a character is of a script whose words are not separated by blanks: Han, Kana
/// and the scripts of South-East Asia. Hangul counts, too, since its particles are written together
/// with the words.
pub(super) fn stands_alone(c: char) -> bool {
    !c.is_ascii()
        && matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1100}'..='\u{11FF}'
            | '\u{1780}'..='\u{17FF}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}'
            | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
            | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AA7F}' | '\u{AC00}'..='\u{D7FF}'
            | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
        && is_of_word(c)
}

/// Returns the first characters of a word, of which there are at most [`WORD_LENGTH`].
fn cut(word: &str) -> &str {
    word.char_indices().nth(WORD_LENGTH).map_or(word, |(end, _)| &word[..end])
}

/// Returns the ends of the characters of a text, as places of bytes.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().skip(1).map(|(place, _)| place).chain((!text.is_empty()).then_some(text.len()))
}

/// Returns each two characters that follow each other.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let starts = run.char_indices().map(|(place, _)| place);
    starts.zip(ends(run).skip(1)).map(|(start, end)| &run[start..end])
}

/// The different terms of a row, joined with blanks.
#[derive(Debug, Default)]
struct Collected<'a> {
    seen: HashSet<&'a str>,
    joined: String,
}

impl<'a> Collected<'a> {
    fn add(&mut self, term: &'a str) {
        if !self.is_full() && self.seen.insert(term) {
            self.joined.push_str(term);
            self.joined.push(' ');
        }
    }

    fn is_full(&self) -> bool {
        self.joined.len() > MOST_BYTES
    }

    /// Adds the terms of a folded text: each beginning of a word; each character of a run, and each
    /// two that follow each other.
    fn add_text(&mut self, folded: &'a str) {
        for piece in pieces(folded) {
            match piece {
                // The beginnings of a word that was seen are there already.
                Piece::Word(word) if self.seen.contains(word) => {}
                Piece::Word(word) => ends(word).for_each(|end| self.add(&word[..end])),
                Piece::Run(run) => {
                    run.char_indices()
                        .zip(ends(run))
                        .for_each(|((start, _), end)| self.add(&run[start..end]));
                    pairs(run).for_each(|pair| self.add(pair));
                }
            }
            if self.is_full() {
                return;
            }
        }
    }
}

/// Returns the terms by which a row with these texts and marks is found, as the index stores them:
/// joined with blanks.
pub fn joined(texts: &[&str], marks: impl IntoIterator<Item = Term>) -> String {
    let folded: Vec<String> = texts.iter().map(|text| fold(text)).collect();
    let length: usize = folded.iter().map(String::len).sum();
    let room = (length * 4).min(MOST_BYTES);
    let mut collected =
        Collected { seen: HashSet::with_capacity(room / 8), joined: String::with_capacity(room + 200) };
    folded.iter().for_each(|text| collected.add_text(text));
    let mut joined = collected.joined;
    // The marks are always there, however many words there are.
    let marks: BTreeSet<Term> = marks.into_iter().collect();
    for mark in &marks {
        joined.push_str(mark.as_str());
        joined.push(' ');
    }
    joined.pop();
    joined
}

/// Returns what a row must have to match what a person typed: all of these terms.
pub fn wanted_words(text: &str) -> BTreeSet<Term> {
    let folded = fold(text);
    let mut wanted = BTreeSet::new();
    for piece in different(&folded).take(MOST_WORDS) {
        let term = |text: &str| Term(text.to_owned());
        match piece {
            Piece::Run(run) if run.chars().nth(1).is_some() => {
                wanted.extend(pairs(run).take(MOST_PAIRS).map(term));
            }
            Piece::Word(word) | Piece::Run(word) => {
                wanted.insert(term(word));
            }
        }
    }
    wanted
}

/// Returns the different words and runs of a folded text.
fn different(folded: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut seen = HashSet::new();
    pieces(folded).filter(move |piece| {
        let (Piece::Word(text) | Piece::Run(text)) = piece;
        seen.insert(*text)
    })
}

/// Returns whether a person typed more words than are searched for.
pub fn are_too_many(text: &str) -> bool {
    different(&fold(text)).nth(MOST_WORDS).is_some()
}

/// Returns whether a text that is not in the index matches.
pub fn has_words(text: &str, wanted: &BTreeSet<Term>) -> bool {
    let folded = fold(text);
    let mut collected = Collected::default();
    collected.add_text(&folded);
    wanted.iter().all(|term| collected.seen.contains(term.as_str()))
}

/// Returns the terms by which any part of a name is found: each one, two and three characters that
/// follow each other.
pub(super) fn name_parts(name: &str) -> BTreeSet<Term> {
    let characters: Vec<char> = fold(name).chars().collect();
    (1..=3).flat_map(|length| characters.windows(length)).map(part).collect()
}

/// Returns the terms that a name must have to contain a text. Longer names than the text may have
/// all of them and yet not contain it: [`is_exact`] says so.
pub fn wanted_parts(text: &str) -> BTreeSet<Term> {
    let characters: Vec<char> = fold(text).chars().collect();
    characters.windows(characters.len().clamp(1, 3)).map(part).collect()
}

/// Returns whether a name that has the terms of a text contains the text for sure.
pub fn is_exact(text: &str) -> bool {
    fold(text).chars().count() <= 3
}

/// Spells characters of a name, which may be any, in hexadecimal.
fn part(characters: &[char]) -> Term {
    let hex: Vec<String> = characters.iter().map(|c| format!("{:x}", u32::from(*c))).collect();
    Term::mark('t', hex.join("x"))
}

/// Returns the marks of an address: the whole, and each of its beginnings.
pub(super) fn address_terms(address: &str) -> Vec<Term> {
    let Ok(address) = address.parse::<IpAddr>() else { return Vec::new() };
    let written = written(address);
    let mut terms: Vec<Term> = ends(&written).map(|end| Term::mark('i', &written[..end])).collect();
    terms.push(Term::mark('w', &written));
    terms
}

/// Returns the marks of the addresses that begin with what a person typed, such as `127.0` or
/// `2001:db8::`: a row must have one of them. Empty if it is not the beginning of an address.
pub fn wanted_addresses(text: &str) -> Vec<Term> {
    if let Ok(address) = text.parse::<IpAddr>()
        && !text.ends_with("::")
    {
        return vec![Term::mark('w', written(address))];
    }
    if text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return vec![Term::mark('i', text.replace('.', "x"))];
    }
    beginnings_of_groups(text).into_iter().map(|beginning| Term::mark('i', beginning)).collect()
}

/// Writes an address so that its beginnings are those of its parts: `127x0x0x1`, or the 32 digits
/// of an address of IPv6.
fn written(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string().replace('.', "x"),
        IpAddr::V6(address) => format!("{:032x}", address.to_bits()),
    }
}

/// Returns what the digits of an address of IPv6 may begin with that begins with this text. The
/// last group may not be complete: `2001:db` begins `2001:db8::` as well as `2001:db::`.
fn beginnings_of_groups(text: &str) -> Vec<String> {
    let groups: Vec<&str> = text.strip_suffix("::").unwrap_or(text).split(':').collect();
    let is_group = |group: &&str| group.len() <= 4 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some((last, whole)) = groups.split_last() else { return Vec::new() };
    let are_groups = whole.iter().all(|group| !group.is_empty()) && groups.iter().all(is_group);
    if !text.contains(':') || !are_groups || groups.len() > 8 {
        return Vec::new();
    }
    let before: String = whole.iter().map(|group| format!("{group:0>4}")).collect();
    let before = before.to_ascii_lowercase();
    let last = last.to_ascii_lowercase();
    if last.is_empty() {
        return vec![before];
    }
    if text.ends_with("::") {
        return vec![format!("{before}{last:0>4}")];
    }
    (last.len()..=4).map(|length| format!("{before}{}{last}", "0".repeat(4 - length))).collect()
}

/// Returns the marks of a chat.
pub fn marks(id: i64, user_id: i64, state: &str, model: &str) -> Vec<Term> {
    let mut marks = vec![Term::user(user_id), Term::state(state), Term::model(model)];
    marks.extend(blocks_of(id));
    marks
}

#[cfg(test)]
mod tests;
