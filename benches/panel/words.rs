//! Names and messages. Few words of the vocabulary are frequent and most are rare. The words to
//! search for have a known frequency.

use crate::shape::{Shape, mix, unit};

/// In six of ten messages.
pub const COMMON: &str = "please";
/// In one of a hundred messages.
pub const MEDIUM: &str = "invoice";
/// In three messages.
pub const RARE: &str = "quetzalcoatl";
/// In no message.
pub const ABSENT: &str = "xylophone";
/// Each in a tenth of the messages, but never both in one.
pub const APART: [&str; 2] = ["monday", "sunday"];

const VOCABULARY: f64 = 20_000.0;
const SYLLABLES: [&str; 28] = [
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we",
    "xi", "yo", "zu", "bra", "cle", "dri", "flo", "gru", "sta", "tre", "phi",
];
const FIRST_NAMES: [&str; 40] = [
    "anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo", "ida", "jonas", "karla", "leo", "mia",
    "noah", "olga", "paul", "quinn", "rosa", "sam", "tina", "ulla", "viktor", "wanda", "xaver", "yara",
    "zoe", "amir", "bella", "chen", "dara", "elif", "farid", "gita", "hana", "ivan", "jun", "kofi", "lena",
    "musa", "nora",
];

fn word(number: usize) -> String {
    let mut text = String::new();
    let mut rest = number;
    for _ in 0..3 {
        text.push_str(SYLLABLES[rest % SYLLABLES.len()]);
        rest /= SYLLABLES.len();
    }
    text
}

pub fn message(shape: &Shape, chat: i64) -> String {
    let mut text = String::new();
    for place in 0..5 + mix(30, chat) % 12 {
        let rank = unit(40 + place, chat);
        text.push_str(&word((VOCABULARY * rank * rank * rank) as usize));
        text.push(' ');
    }
    let mut add = |is_in: bool, word: &str| {
        if is_in {
            text.push_str(word);
            text.push(' ');
        }
    };
    add(mix(31, chat) % 10 < 6, COMMON);
    add(mix(32, chat).is_multiple_of(100), MEDIUM);
    add([1, 5, 9].iter().any(|tenth| chat == shape.chats / 10 * tenth), RARE);
    match mix(33, chat) % 10 {
        0 => add(true, APART[0]),
        1 => add(true, APART[1]),
        _ => {}
    }
    text.trim_end().to_owned()
}

/// Returns a user's name. The user with few chats has the rarest.
pub fn username(shape: &Shape, user: i64) -> String {
    match user {
        1..=crate::shape::ADMINISTRATORS => format!("admin{user}"),
        crate::shape::HEAVY => "busybody".to_owned(),
        _ if user == shape.few() => "zebulon.quixote".to_owned(),
        _ => {
            let first = FIRST_NAMES[(mix(34, user) % FIRST_NAMES.len() as u64) as usize];
            format!("{first}.{}{user}", word((mix(35, user) % 20_000) as usize))
        }
    }
}
