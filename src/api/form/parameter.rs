//! Parameters in the values of headers.

/// Returns a parameter of a header's value, for example the `boundary` of a content type.
pub(super) fn parameter(header: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = header.split_once(';')?;
    loop {
        let (names, after) = rest.split_once('=')?;
        // Parameters without a value may stand before it.
        let name = names.rsplit(';').next().unwrap_or_default();
        let (value, after) = parameter_value(after.trim_start());
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// Returns the value at the start of a text, and what follows it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            char => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn a_parameter_is_found_among_others_and_without_its_quotes() {
        for (header, value) in [
            ("a/b; x=abc", Some("abc")),
            ("a/b;X = abc ;y=z", Some("abc")),
            ("a/b; odd; x=abc", Some("abc")),
            ("a/b; y=\"; x=no\"; x=abc", Some("abc")),
            ("a/b; x=\"a;b=\\\"c\\\\\" ; y=z", Some("a;b=\"c\\")),
            ("a/b; x=\"open", Some("open")),
            ("a/b; x=", Some("")),
            ("a/b; xx=abc", None),
            ("x=abc", None),
            ("", None),
        ] {
            assert_eq!(parameter(header, "x").as_deref(), value, "{header}");
        }
    }
}
