use super::*;
use serde_json::json;

fn parsed(question: &Question, limit: OutputLimit) -> Value {
    serde_json::from_slice(&body_of(question, limit)).unwrap()
}

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

#[test]
fn our_own_fields_win_over_options() {
    let mut question = Question::of_message("m", "hi", 7);
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("n", json!(5)),
        ("model", json!("dear")),
        ("messages", json!([])),
        ("max_tokens", json!(1_000_000)),
        ("max_completion_tokens", json!(1_000_000)),
        ("stream", json!(false)),
        ("stream_options", json!({ "include_usage": false })),
    ] {
        question.options.insert(name.to_owned(), value);
    }
    let wanted = json!({ "temperature": 0.5, "model": "m", "messages": [{ "role": "user", "content": "hi" }],
        "max_tokens": 7, "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(parsed(&question, OutputLimit::MaxTokens), wanted);
    let other = parsed(&question, OutputLimit::MaxCompletionTokens);
    assert_eq!((&other["max_completion_tokens"], other.get("max_tokens")), (&json!(7), None));
}

#[test]
fn each_status_has_its_failure() {
    let failure = |status| failure_of(StatusCode::from_u16(status).unwrap());
    assert_eq!([401, 403].map(failure), [Failure::KeyRejected; 2]);
    assert_eq!([400, 413, 415, 422].map(failure), [Failure::RequestRejected; 4]);
    assert_eq!([402, 404, 405, 410].map(failure), [Failure::ModelUnavailable; 4]);
    assert_eq!([429].map(failure), [Failure::RateLimited]);
    assert_eq!([500, 503, 529].map(failure), [Failure::ServerError; 3]);
    assert_eq!([200, 204, 301, 302, 308].map(failure), [Failure::NotAnAnswer; 5]);
}
