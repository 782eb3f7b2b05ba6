//! Detects passwords that are a common word with a few characters around it: `tollgate2026`,
//! `P@ssw0rd!!`.

use std::collections::HashSet;

use super::canonical_of;

/// The most characters around a common word that are ignored: even this many add little strength.
const MOST_AROUND: usize = 10;

/// Characters that look like a letter and may replace it. A 1 can be an `l` or an `i`.
const LOOK_ALIKES: [(char, char); 9] = [
    ('0', 'o'),
    ('1', 'l'),
    ('3', 'e'),
    ('4', 'a'),
    ('5', 's'),
    ('7', 't'),
    ('@', 'a'),
    ('$', 's'),
    ('!', 'i'),
];

/// Returns the words that a password may consist of: the password itself, and the password without
/// some of the digits and signs at its ends, each as it is and with look-alikes replaced by
/// letters. All are in canonical form, none is empty.
pub(super) fn words_of(password: &str) -> HashSet<String> {
    let whole = canonical_of(password.trim());
    let mut words = HashSet::new();
    for core in cores(&whole) {
        words.extend(['l', 'i'].map(|one| core.chars().map(|c| letter_of(c, one)).collect()));
        words.insert(core.to_owned());
    }
    words
}

/// Returns the text with each possible number of digits and signs removed from its ends, up to
/// [`MOST_AROUND`] in total.
fn cores(text: &str) -> Vec<&str> {
    let around = |text: &str| text.chars().take(MOST_AROUND).take_while(|c| is_decoration(*c)).count();
    let backwards: String = text.chars().rev().take(MOST_AROUND).collect();
    let (most_before, most_after) = (around(text), around(&backwards));
    let mut cores = Vec::new();
    for before in 0..=most_before {
        for after in 0..=most_after.min(MOST_AROUND - before) {
            let (mut characters, mut core) = (text.chars(), "");
            if characters.by_ref().take(before).count() == before {
                core = characters.as_str();
            }
            for _ in 0..after {
                let mut characters = core.chars();
                characters.next_back();
                core = characters.as_str();
            }
            cores.extend((!core.is_empty()).then_some(core));
        }
    }
    cores
}

/// Returns whether a password is a name, once or repeated, with only a few digits and signs around
/// it. `name` is in canonical form.
pub(super) fn is_decorated(password: &str, name: &str) -> bool {
    let core = name.trim_matches(is_decoration);
    let core = if core.is_empty() { name } else { core };
    let is_name =
        |word: &str| word == name || word == core || is_repeated(word, name) || is_repeated(word, core);
    if words_of(password).iter().any(|word| is_name(word)) {
        return true;
    }
    // A name may itself begin or end with digits and signs, which `core` lacks.
    let whole = canonical_of(password.trim());
    let around = whole.split_once(name).filter(|_| !name.is_empty());
    around.is_some_and(|(before, after)| {
        let mut around = before.chars().chain(after.chars());
        around.clone().count() <= MOST_AROUND && around.all(is_decoration)
    })
}

fn is_repeated(word: &str, name: &str) -> bool {
    !name.is_empty() && word.len() > name.len() && word.replace(name, "").is_empty()
}

fn is_decoration(c: char) -> bool {
    !c.is_alphabetic()
}

fn letter_of(c: char, one: char) -> char {
    if c == '1' {
        return one;
    }
    LOOK_ALIKES.iter().find(|(look_alike, _)| *look_alike == c).map_or(c, |(_, letter)| *letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(password: &str, word: &str) -> bool {
        words_of(password).iter().any(|found| found == word)
    }

    #[test]
    fn digits_and_signs_at_the_ends_and_look_alikes_hide_no_word() {
        for password in [
            "tollgate2026",
            "Tollgate!",
            "2026tollgate",
            "--TOLLGATE--",
            "t0llg4te",
            "70llg@73!",
            "tollgate 20261129",
        ] {
            assert!(has(password, "tollgate"), "{password}: {:?}", words_of(password));
        }
        for password in ["P@ssw0rd2026", "pa55w0rd!!", "  Password99 "] {
            assert!(has(password, "password"), "{password}");
        }
        assert!(has("adm1n2026", "admin") && has("w3lc0me!1", "welcome") && has("1ove1ove", "lovelove"));
        assert!(!has("tollgate-hater-2026", "tollgate") && !has("my tollgate", "tollgate"));
        assert!(!has("tollgate48151623420", "tollgate"), "eleven digits are more than a date");
    }

    #[test]
    fn a_name_is_recognised_despite_digits_and_signs_around_it() {
        for (password, name) in [
            ("ada.lovelace1", "ada.lovelace"),
            ("1ada.lovelace!", "ada.lovelace"),
            ("adaadaada", "ada"),
            ("bob78901", "bob7"),
            ("bob7bob7!", "bob7"),
            ("12345678x9", "12345678x"),
            ("grace2026", "grace"),
            ("gr4c3!2026", "grace"),
            ("1234567890", "12345"),
        ] {
            assert!(is_decorated(password, name), "{password} of {name}");
        }
        for (password, name) in [
            ("ada lovelace was here", "ada"),
            ("xk7-qpzw", "x"),
            ("ada481516234215", "ada"),
            ("correct-horse", ""),
        ] {
            assert!(!is_decorated(password, name), "{password} of {name}");
        }
    }
}
