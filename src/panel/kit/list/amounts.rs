//! Filters by amounts: reading a range from the query string.

use std::collections::BTreeMap;

use crate::panel::kit::format;

/// A range of amounts that was typed. Both ends belong to it.
pub(super) struct PickedAmounts {
    /// The range in words, for the filter's chip.
    pub shown: String,
    pub from: i64,
    pub to: i64,
}

/// Reads the amounts in the parameters `NAME_from` and `NAME_to`. `None` if there is neither. A
/// text that is not a number matches nothing: without the filter, the list would have rows that
/// were not asked for.
pub(super) fn amounts(parameters: &BTreeMap<String, String>, name: &str) -> Option<PickedAmounts> {
    let typed = |end: &str| parameters.get(&format!("{name}_{end}"));
    let ends = [typed("from"), typed("to")];
    if let Some(text) = ends.into_iter().flatten().find(|text| amount(text).is_none()) {
        let shown = format!("“{text}” is not a whole number");
        return Some(PickedAmounts { shown, from: i64::MAX, to: i64::MIN });
    }
    let [from, to] = ends.map(|text| text.and_then(|text| amount(text)));
    let shown = match (from, to) {
        (Some(from), Some(to)) => format!("{} to {}", format::tokens(from), format::tokens(to)),
        (Some(from), None) => format!("at least {}", format::tokens(from)),
        (None, Some(to)) => format!("at most {}", format::tokens(to)),
        (None, None) => return None,
    };
    Some(PickedAmounts { shown, from: from.unwrap_or(i64::MIN), to: to.unwrap_or(i64::MAX) })
}

/// Reads a whole number, with or without separated thousands.
fn amount(text: &str) -> Option<i64> {
    let text = text.replace('\u{2212}', "-");
    let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let groups: Vec<&str> = digits.split([',', ' ', '\u{a0}', '\u{202f}']).collect();
    let is_grouped =
        groups.len() == 1 || (groups[0].len() <= 3 && groups.iter().skip(1).all(|group| group.len() == 3));
    let sign = if text.starts_with('-') { "-" } else { "" };
    let is_number = is_grouped && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number { format!("{sign}{}", groups.concat()).parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_amounts_may_be_open_at_either_end() {
        let nothing = |shown| Some((shown, i64::MAX, i64::MIN));
        for (from, to, wanted) in [
            ("1,000", "2 000", Some(("1,000 to 2,000", 1_000, 2_000))),
            ("-5", "", Some(("at least \u{2212}5", -5, i64::MAX))),
            ("", "\u{2212}7", Some(("at most \u{2212}7", i64::MIN, -7))),
            ("x", "\u{2212}7", nothing("“x” is not a whole number")),
            ("9223372036854775808", "", nothing("“9223372036854775808” is not a whole number")),
            ("", "1.5", nothing("“1.5” is not a whole number")),
            ("1,5", "", nothing("“1,5” is not a whole number")),
            ("", "", None),
        ] {
            let pair = |end: &str, text: &str| (format!("tokens_{end}"), text.to_owned());
            let mut parameters = BTreeMap::from([pair("from", from), pair("to", to)]);
            parameters.retain(|_, text| !text.is_empty());
            let found = amounts(&parameters, "tokens").map(|it| (it.shown, it.from, it.to));
            let wanted = wanted.map(|(shown, from, to)| (shown.to_owned(), from, to));
            assert_eq!(found, wanted, "{from:?} to {to:?}");
        }
    }
}
