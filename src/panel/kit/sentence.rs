//! The style of errors: a sentence with a capital letter and a full stop.

/// Makes a sentence of the reason of an error. The API shows the same reasons behind the name of a
/// field, without either.
pub(in crate::panel) fn sentence(reason: &str) -> String {
    let reason = reason.trim();
    let mut letters = reason.chars();
    let first: String = letters.next().map(char::to_uppercase).into_iter().flatten().collect();
    let end = if reason.is_empty() || reason.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_reason_becomes_a_sentence() {
        assert_eq!(sentence("choose one of the two"), "Choose one of the two.");
        assert_eq!(sentence("Use at least 8 characters."), "Use at least 8 characters.");
        assert_eq!(sentence("0 changes nothing: enter a number"), "0 changes nothing: enter a number.");
        assert_eq!(sentence("élan"), "Élan.");
        assert_eq!(sentence(""), "");
    }
}
