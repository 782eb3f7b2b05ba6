//! Names that look like other names: letters of several scripts in one name, and letters that look
//! alike (Unicode Technical Standard 39).

use unicode_security::mixed_script::AugmentedScriptSet;
use unicode_security::skeleton;

use super::canonical_of;

/// Returns the skeleton of a name as it is shown. Two names with the same skeleton look alike: it
/// replaces each character by the one that stands for all that look like it. Letter case decides
/// what a letter looks like (`I` looks like `l`), and otherwise makes no difference. So the letters
/// are replaced as they are shown, and once more in lower case.
pub fn skeleton_of(shown: &str) -> String {
    let once = canonical_of(&skeleton(shown).collect::<String>());
    canonical_of(&skeleton(&once).collect::<String>())
}

/// Returns whether a name mixes scripts beyond the level "highly restrictive" of UTS 39: all
/// characters must be of one script, or of Latin together with Chinese, Japanese or Korean. Digits
/// and signs belong to every script.
pub fn mixes_scripts(shown: &str) -> bool {
    let latin = AugmentedScriptSet::for_char('a');
    let (mut all, mut others) = (AugmentedScriptSet::default(), AugmentedScriptSet::default());
    for c in shown.chars() {
        let scripts = AugmentedScriptSet::for_char(c);
        all.intersect_with(scripts);
        let mut in_latin = scripts;
        in_latin.intersect_with(latin);
        if in_latin.is_empty() {
            others.intersect_with(scripts);
        }
    }
    all.is_empty() && !(others.hanb || others.jpan || others.kore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_have_one_skeleton() {
        let roots = ["root", "ROOT", "r00t", "rооt", "rοοt", "ｒｏｏｔ", "ro\u{200B}ot", "гооt", "𝐫𝐨𝐨𝐭"];
        for name in roots {
            assert_eq!(skeleton_of(name), skeleton_of("root"), "{name}");
        }
        for (one, other) in [
            ("paypal", "paypaI"),
            ("paypal", "раураl"),
            ("coco", "СОСО"),
            ("bob", "ВОВ"),
            ("modern", "rnodern"),
        ] {
            assert_eq!(skeleton_of(one), skeleton_of(other), "{one} {other}");
        }
        for (one, other) in [("ada", "eva"), ("ada", "ädä"), ("user2", "user3"), ("Дмитрий", "Dmitri")]
        {
            assert_ne!(skeleton_of(one), skeleton_of(other), "{one} {other}");
        }
    }

    #[test]
    fn the_scripts_of_one_language_may_stand_together() {
        for name in [
            "",
            "a",
            "Ada.Lovelace+1@example_x-y",
            "Ünal",
            "Дмитрий",
            "Ελένη",
            "Հայկ",
            "ᎪᏫ",
            "محمد",
            "٣٤",
            "7",
            "李雷",
            "李雷Lee",
            "田中さんカナ",
            "Tanakaさん",
            "김철수Kim",
            "李ㄅㄆ",
        ] {
            assert!(!mixes_scripts(name), "{name}");
        }
        for name in [
            "rооt",
            "pаypal",
            "Αda",
            "аda",
            "Ꭺda",
            "ԁmitri",
            "Дмитриi",
            "αβγa",
            "さД",
            "김さ",
            "李김さ",
            "aاب",
        ] {
            assert!(mixes_scripts(name), "{name}");
        }
    }
}
