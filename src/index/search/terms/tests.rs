use proptest::prelude::*;

use super::*;

fn shown(terms: impl IntoIterator<Item = Term>) -> Vec<String> {
    terms.into_iter().map(|term| term.0).collect()
}

/// Returns the terms of a text that is stored.
fn stored(text: &str) -> BTreeSet<String> {
    joined(&[text], []).split_whitespace().map(str::to_owned).collect()
}

fn finds(text: &str, typed: &str) -> bool {
    let wanted = wanted_words(typed);
    let stored = stored(text);
    let found = wanted.iter().all(|term| stored.contains(term.as_str()));
    assert_eq!(found, has_words(text, &wanted), "{text:?} {typed:?}");
    found && !wanted.is_empty()
}

#[test]
fn words_are_found_by_their_beginnings() {
    let text = "Refund, REFUND me—now! Ünïcode №5";
    for typed in ["refund", "REFUND", "ref", "r", "now me", "unicode", "ÜNÏ", "no5", "refund unic"] {
        assert!(finds(text, typed), "{typed}");
    }
    for typed in ["efund", "refunds", "nicode", "refund you", "ow"] {
        assert!(!finds(text, typed), "{typed}");
    }
    assert_eq!(shown(wanted_words("AND OR \"NEAR\" -x* u=5 :*")), ["5", "and", "near", "or", "u", "x"]);
}

#[test]
fn any_part_is_found_in_scripts_without_blanks() {
    for (text, found, missed) in [
        (
            "東京タワーに行く",
            &["東", "東京", "京タ", "タワー", "行く", "東京タワーに行く"][..],
            &["京東", "ワタ"][..],
        ),
        ("iPhone手机很好", &["iphone", "iph", "手机", "机很", "iPhone手机"], &["phone", "机手"]),
        ("สวัสดีครับ", &["สวัส", "ดีครับ", "ครับ"], &["ครูบ"]),
        ("안녕하세요", &["녕하", "하세", "안"], &["하녕"]),
        ("第3章", &["第", "3", "章", "第3章"], &["4章"]),
    ] {
        for typed in found {
            assert!(finds(text, typed), "{typed} in {text}");
        }
        for typed in missed {
            assert!(!finds(text, typed), "{typed} in {text}");
        }
    }
}

#[test]
fn a_long_word_is_found_by_its_first_characters() {
    let word = "x".repeat(WORD_LENGTH - 1) + "yz";
    assert!(finds(&word, &word) && finds(&word, &word[..5]));
    assert_eq!(shown(wanted_words(&word)), [word[..WORD_LENGTH].to_owned()]);
}

#[test]
fn a_row_has_a_bound_and_keeps_its_marks() {
    let text: String = (0..200_000).map(|number| format!("{:x} ", number * 7_919)).collect();
    let terms = joined(&[&text], [Term::user(5)]);
    assert!(terms.len() < MOST_BYTES + 100 && terms.ends_with(" =u5"), "{}", terms.len());
    let run: String = ('\u{4E00}'..'\u{9F00}').cycle().take(200_000).collect();
    assert!(joined(&[&run], []).len() < MOST_BYTES + 100);
    assert_eq!(wanted_words(&run).len(), MOST_PAIRS);
    assert!(are_too_many("a b c d e f g h i j k") && !are_too_many("a b c d e f g h i j a"));
}

#[test]
fn no_word_is_a_mark() {
    let marks = joined(&[], marks(5, 5, "failed", "dummy").into_iter().chain(name_parts("us")));
    for typed in ["u", "s", "u5", "=u5", "u=5", "=", "sfailed", "b0", "t75"] {
        let wanted = shown(wanted_words(typed));
        assert!(marks.split(' ').all(|mark| !wanted.iter().any(|term| term == mark)), "{typed}");
    }
}

#[test]
fn a_part_of_a_name_in_another_order_is_not_found() {
    assert!(name_parts("mary.jane").is_superset(&wanted_parts("y.ja")));
    assert!(!name_parts("mary.jane").is_superset(&wanted_parts("yja")));
    assert!(name_parts("Zoë").is_superset(&wanted_parts("oe")));
    assert!(wanted_parts("").is_empty() && name_parts("").is_empty());
    // All terms of it are in the name, but it is not: the caller must look at the name.
    assert!(name_parts("abcabd").is_superset(&wanted_parts("cabc")) && !is_exact("cabc"));
}

#[test]
fn an_address_is_found_by_its_beginning() {
    let finds = |address: &str, typed: &str| {
        let terms = address_terms(address);
        wanted_addresses(typed).iter().any(|wanted| terms.contains(wanted))
    };
    for (address, found, missed) in [
        (
            "127.0.0.1",
            &["127.", "127.0", "127.0.0", "127.0.0.1", "::ffff:127.0.0.1"][..],
            &["127.1", "127", "27.0", "127.0.0.12", "10.0"][..],
        ),
        ("10.1.0.12", &["10.1.0.12", "10.1."], &["10.1.0.1", "10.10"]),
        (
            "2001:db8::1f",
            &["2001:", "2001:db8", "2001:d", "2001:db8::", "2001:0DB8:", "2001:db8::1f", "2001:db8:0:"],
            &["2001:db80", "2001:db8::1", "2001:b8", "db8:", "2001:db8:1"],
        ),
        ("::1", &["::1", "0:"], &["::", "1:"]),
    ] {
        for typed in found {
            assert!(finds(address, typed), "{typed} finds {address}");
        }
        for typed in missed {
            assert!(!finds(address, typed), "{typed} finds {address}");
        }
    }
    for typed in ["", ":", "refund", "1187", "a:b:c:d:e:f:g", "1:2:3:4:5:6:7:8:9", "12345:", "::a::"] {
        assert_eq!(wanted_addresses(typed), [], "{typed}");
    }
    assert_eq!(address_terms("an imported text"), []);
}

#[test]
fn a_mark_is_one_word_whatever_its_number_is() {
    for id in [i64::MIN, -1, 0, 1, i64::MAX] {
        let others = [Term::actor(id), Term::object(id), Term::action("a b"), Term::kind("é")];
        for term in marks(id, id, "failed", "a/b-c:d é").into_iter().chain(others) {
            assert!(term.0.chars().all(|c| c.is_ascii_alphanumeric() || c == '='), "{term:?}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_typed_gives_plain_words(text in any::<String>()) {
        let stored = stored(&text).into_iter();
        for term in stored.chain(shown(wanted_words(&text))).chain(shown(name_parts(&text))) {
            let word = term.strip_prefix('=').unwrap_or(&term);
            prop_assert!(!word.is_empty() && word.chars().all(is_of_word), "{term:?}");
        }
    }

    #[test]
    fn each_part_of_a_name_finds_it(name in "\\PC{1,30}", start in 0..30_usize, length in 1..30_usize) {
        let folded: Vec<char> = fold(&name).chars().collect();
        let part: String = folded.iter().skip(start).take(length).collect();
        prop_assert!(name_parts(&name).is_superset(&wanted_parts(&part)), "{part:?} in {name:?}");
    }

    #[test]
    fn each_text_finds_itself(text in "\\PC{0,60}") {
        prop_assert!(wanted_words(&text).is_empty() || finds(&text, &text));
    }
}
