//! Numbers, sizes and spans of time as text.

use chrono::TimeDelta;

/// Returns a number with separated thousands: `1,234,567`, `−100`.
pub(in crate::panel) fn tokens(amount: i64) -> String {
    let digits = amount.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if amount < 0 { format!("\u{2212}{text}") } else { text }
}

/// Returns a number in a few characters: `1,731`, `173.1 k`, `9.0 Q`. It never says more than there
/// is: digits that are left out are not rounded up.
pub(in crate::panel) fn compact(amount: i64) -> String {
    const UNITS: [&str; 5] = ["k", "M", "B", "T", "Q"];
    let size = amount.unsigned_abs();
    if size < 10_000 {
        return tokens(amount);
    }
    let (mut tenths, mut unit) = (size / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    let sign = if amount < 0 { "\u{2212}" } else { "" };
    let whole = tokens(i64::try_from(tenths / 10).unwrap_or(i64::MAX));
    format!("{sign}{whole}.{}\u{a0}{}", tenths % 10, UNITS.get(unit).unwrap_or(&"Q"))
}

/// Returns a number of 0 or more as people say it: `9 quadrillion`, `2.25 trillion`. It is cut to
/// three digits from a million on.
pub(in crate::panel) fn in_words(number: i64) -> String {
    const UNITS: [(i64, &str); 5] = [
        (1_000_000_000_000_000_000, "quintillion"),
        (1_000_000_000_000_000, "quadrillion"),
        (1_000_000_000_000, "trillion"),
        (1_000_000_000, "billion"),
        (1_000_000, "million"),
    ];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| number >= *unit) else {
        return tokens(number);
    };
    let (whole, rest) = (number / unit, number % unit);
    let places: usize = if whole >= 100 {
        0
    } else if whole >= 10 {
        1
    } else {
        2
    };
    let hundredths = rest / (unit / 100);
    let digits = format!("{hundredths:02}");
    let digits = digits.get(..places).unwrap_or_default().trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{whole}{point}{digits} {name}")
}

/// Returns a change of a balance with its sign: `+500`, `−100`.
pub(in crate::panel) fn signed(amount: i64) -> String {
    if amount > 0 { format!("+{}", tokens(amount)) } else { tokens(amount) }
}

/// Returns a size in bytes with up to three digits: `12.3 MB`.
pub(in crate::panel) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let places = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.places$} {}", UNITS.get(unit).unwrap_or(&"bytes"))
}

/// Returns a span of time in the unit that fits: `840 ms`, `1.5 s`, `2 min 5 s`.
pub(in crate::panel) fn span(span: TimeDelta) -> String {
    let milliseconds = span.num_milliseconds().max(0);
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min {} s", tokens(milliseconds / 60_000), milliseconds / 1_000 % 60),
    }
}

/// Returns a number with a noun: `1 user`, `2 users`.
pub(in crate::panel) fn counted(number: i64, one: &str, many: &str) -> String {
    format!("{} {}", tokens(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<String> = [0, 7, 999, 1000, 123456, 1234567, -100, i64::MIN].map(tokens).to_vec();
        let expected =
            ["0", "7", "999", "1,000", "123,456", "1,234,567", "−100", "−9,223,372,036,854,775,808"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn compact_numbers_have_few_characters_and_never_say_more_than_there_is() {
        let shown = [
            0,
            -7,
            9_999,
            10_000,
            173_199,
            999_999,
            1_000_000,
            -2_500_000_000,
            999_999_999_999_999,
            9_000_000_000_060_500,
            i64::MAX,
        ]
        .map(|amount| compact(amount).replace('\u{a0}', " "));
        let expected = [
            "0",
            "−7",
            "9,999",
            "10.0 k",
            "173.1 k",
            "999.9 k",
            "1.0 M",
            "−2.5 B",
            "999.9 T",
            "9.0 Q",
            "9,223.3 Q",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn large_numbers_are_said_in_words() {
        let said = [
            (0, "0"),
            (999, "999"),
            (1_250, "1,250"),
            (1_500_000, "1.5 million"),
            (12_050_000, "12 million"),
            (12_350_000, "12.3 million"),
            (2_250_000_000_000, "2.25 trillion"),
            (9_000_000_000_000_000, "9 quadrillion"),
            (i64::MAX, "9.22 quintillion"),
        ];
        for (number, words) in said {
            assert_eq!(in_words(number), words);
        }
    }

    #[test]
    fn what_was_given_has_a_plus() {
        assert_eq!([500, 0, -100].map(signed), ["+500", "0", "−100"]);
    }

    #[test]
    fn spans_have_the_unit_that_fits() {
        assert_eq!(
            [-5, 0, 999, 1_000, 1_580, 59_999, 60_000, 3_725_000].map(|ms| span(TimeDelta::milliseconds(ms))),
            ["0 ms", "0 ms", "999 ms", "1.0 s", "1.5 s", "59.9 s", "1 min 0 s", "62 min 5 s"]
        );
    }

    #[test]
    fn sizes_have_three_digits() {
        assert_eq!(
            [0, 999, 1000, 12_345, 678_000_000].map(bytes),
            ["0 bytes", "999 bytes", "1.0 kB", "12.3 kB", "678 MB"]
        );
    }
}
