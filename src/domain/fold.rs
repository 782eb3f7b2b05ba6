//! The form in which texts are searched: without letter case and accents.

use unicode_normalization::UnicodeNormalization;

/// Returns the form in which a text and a search are compared: `Ünïcode STRASSE` and `unicode
/// straße` have the same. Folding a folded text changes nothing.
///
/// It is NFKD without accents, in lower case, composed again. Only marks that people leave out when
/// they type are accents: those of Latin, Greek and Cyrillic letters, and the vowel points of
/// Hebrew and Arabic. The vowels of Indic scripts and of Thai, and the voicing marks of Kana, make
/// other words, so they stay: `が` is not `か`. A few letters that do not decompose are spelt as
/// people without their keyboard spell them, such as `ß`, `ı` and `ø`.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let letters = text.nfkd().flat_map(char::to_lowercase).filter(|c| !is_left_out(*c));
    letters.flat_map(spelt).nfc().collect()
}

/// Returns whether a character is left out: an accent, a vowel point, or one that nobody sees.
fn is_left_out(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{487}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        // Hebrew.
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}'..='\u{5C2}' | '\u{5C4}'..='\u{5C5}' | '\u{5C7}'
        // Arabic, with the sign that makes words longer.
        | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{6D6}'..='\u{6DC}'
        | '\u{6DF}'..='\u{6E4}' | '\u{6E7}'..='\u{6E8}' | '\u{6EA}'..='\u{6ED}' | '\u{8D3}'..='\u{8FF}'
        // Invisible within a word.
        | '\u{AD}' | '\u{200C}' | '\u{200D}' | '\u{2060}' | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}')
}

/// Spells a letter that does not decompose.
fn spelt(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'þ' => ('t', Some('h')),
        'ð' | 'đ' => ('d', None),
        'ħ' => ('h', None),
        'ı' => ('i', None),
        'ł' => ('l', None),
        'ø' => ('o', None),
        'ŧ' => ('t', None),
        'ς' => ('σ', None),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn letter_case_and_accents_make_no_difference() {
        for (one, other) in [
            ("Ünïcode", "unicode"),
            ("STRASSE", "straße"),
            ("Straẞe", "strasse"),
            ("İSTANBUL", "istanbul"),
            ("ısparta", "ISPARTA"),
            ("ΟΔΥΣΣΕΥΣ", "Οδυσσεύς"),
            ("Ёлка", "елка"),
            ("Łódź", "lodz"),
            ("Đặng", "dang"),
            ("Ærøskøbing", "aeroskobing"),
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد", "محمد"),
            ("أحمد", "احمد"),
            ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
            ("ﾊﾞｽ", "バス"),
            ("e\u{301}te\u{301}", "été"),
            ("한글", "한글"),
            ("soft\u{AD}hyphen", "softhyphen"),
            ("№5", "no5"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn marks_that_make_other_words_stay() {
        for (one, other) in
            [("が", "か"), ("バス", "ハス"), ("कि", "की"), ("ดี", "ดู"), ("東京", "京東"), ("o", "ö2")]
        {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn a_folded_text_is_folded_already() {
        // The ideographs and Hangul between these have nothing to fold.
        let all = ('\0'..='\u{33FF}').chain('\u{A000}'..='\u{AC10}').chain('\u{D790}'..='\u{1FFFF}');
        for c in all {
            let folded = fold(&format!("a{c}e"));
            assert_eq!(fold(&folded), folded, "{c:?}");
        }
    }
}
