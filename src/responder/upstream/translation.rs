//! Questions in another form, for upstreams that lack the endpoint for their own.

use serde_json::{Value, json};

use crate::responder::{Completion, Message, Question, QuestionKind};

/// Returns the same question as a conversation, for an upstream that only takes those.
///
/// # Errors
/// The field that no conversation can have.
pub(super) fn as_chat(question: &Question, completion: &Completion) -> Result<Question, &'static str> {
    if completion.suffix.is_some() {
        return Err("suffix");
    }
    let prompt = completion.prompts.text(0).filter(|_| completion.prompts.count() == 1).ok_or("prompt")?;
    let mut options = question.options.clone();
    // Chat completions have two fields for what is one number here.
    if let Some(most) = options.get("logprobs").and_then(Value::as_u64) {
        options.insert("logprobs".to_owned(), json!(true));
        if most > 0 {
            options.insert("top_logprobs".to_owned(), json!(most));
        }
    }
    Ok(Question {
        kind: QuestionKind::Chat,
        model: question.model.clone(),
        messages: vec![Message::of_text("user", prompt)],
        max_output: question.max_output,
        choices: question.choices,
        passed: question.passed.clone(),
        request_id: question.request_id,
        options,
        ..Question::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responder::completion::tests::completion;

    #[test]
    fn one_text_can_be_asked_as_a_conversation() {
        let mut question =
            Question { model: "m".to_owned(), max_output: 7, choices: 2, ..Question::default() };
        question.options.insert("logprobs".into(), json!(3));
        question.options.insert("stop".into(), json!(["x"]));
        let chat = as_chat(&question, &completion(json!("hello"), None)).unwrap();
        assert_eq!(json!(chat.messages), json!([{ "role": "user", "content": "hello" }]));
        assert_eq!(Value::from(chat.options), json!({ "logprobs": true, "stop": ["x"], "top_logprobs": 3 }));
        assert_eq!((chat.max_output, chat.choices, chat.model.as_str()), (7, 2, "m"));
        question.options.insert("logprobs".into(), json!(0));
        let chat = as_chat(&question, &completion(json!(["hello"]), None)).unwrap();
        assert_eq!(chat.options.get("top_logprobs"), None);
        for (prompts, suffix, field) in [
            (json!("a"), Some("b"), "suffix"),
            (json!(["a", "b"]), None, "prompt"),
            (json!([1]), None, "prompt"),
            (json!([[1]]), None, "prompt"),
        ] {
            assert_eq!(as_chat(&question, &completion(prompts, suffix)).unwrap_err(), field);
        }
    }
}
