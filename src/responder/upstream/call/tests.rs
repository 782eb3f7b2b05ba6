use super::*;

#[test]
fn calls_go_below_the_base_with_or_without_its_last_slash() {
    for base in ["http://h:1/v1", "http://h:1/v1/", "http://h:1/v1#x"] {
        let url = below(&Url::parse(base).unwrap(), &["chat", "completions"]).unwrap();
        assert_eq!(url.as_str(), "http://h:1/v1/chat/completions");
    }
    for base in ["ftp://h/v1", "mailto:h", "http://me:secret@h/v1"] {
        let error = below(&Url::parse(base).unwrap(), &["chat", "completions"]).unwrap_err();
        assert!(!error.contains("secret"));
    }
}
