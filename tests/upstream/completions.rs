//! Completions: texts that a model continues, asked as such or as conversations.

use serde_json::{Value, json};
use tollgate::responder::{Completion, Inputs, QuestionKind};

use super::*;
use crate::support::upstream::{answer, continued, done, head, status, usage};

fn of(prompts: Inputs, suffix: Option<&str>) -> Question {
    let completion = Completion { prompts, suffix: suffix.map(str::to_owned) };
    Question { kind: QuestionKind::Completion(completion), messages: Vec::new(), ..question() }
}

fn one() -> Question {
    of(Inputs::Text("Once upon".to_owned()), None)
}

async fn complete_by(upstream: &Upstream, question: &Question) -> Outcome {
    outcome_of_question(ADA, upstream, question).await
}

/// A response that says in JSON that something is wrong.
fn rejection(code: u16, error: &Value) -> Vec<Step> {
    status(code, &[("content-type", "application/json")], &json!({ "error": error }).to_string())
}

#[tokio::test]
async fn a_prompt_goes_to_completions_with_what_it_needs() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    let script = [
        head(),
        continued(0, " a", None),
        continued(0, " time", None),
        continued(0, "", Some("stop")),
        usage(2, 2),
        done(),
    ];
    scripted.next(script);
    let mut question = of(Inputs::Text("Once upon".to_owned()), Some("The end."));
    for (name, value) in [("temperature", json!(0)), ("echo", json!(true)), ("best_of", json!(9))] {
        question.options.insert(name.to_owned(), value);
    }
    assert_eq!(complete_by(&upstream, &question).await, complete(" a time", Usage::reported(2, 2)));
    let request = scripted.request(0).await;
    assert_eq!(request.path, "/v1/completions");
    let wanted = json!({ "model": "m", "prompt": "Once upon", "suffix": "The end.", "max_tokens": 10,
        "temperature": 0, "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(request.body, wanted);
}

#[tokio::test]
async fn each_prompt_has_its_choices() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    let ends = (0..4).map(|index| continued(index, "x", Some("length")));
    scripted.next([head()].into_iter().chain(ends).chain([done()]));
    let question = Question { choices: 4, ..of(Inputs::TokenLists(vec![vec![1, 2], vec![3]]), None) };
    let mut stream = ask_as(ADA, &upstream, &question).await.unwrap();
    let mut choices = Vec::new();
    while let Some(piece) = next(&mut stream).await.unwrap() {
        choices.push(piece.choice);
    }
    assert_eq!(choices, [0, 1, 2, 3]);
    let body = scripted.request(0).await.body;
    assert_eq!((&body["prompt"], &body["n"]), (&json!([[1, 2], [3]]), &json!(2)));
}

#[tokio::test]
async fn without_such_an_endpoint_a_conversation_is_asked_and_this_is_remembered() {
    for rejection in [
        status(404, &[], ""),
        status(405, &[], "Method Not Allowed"),
        status(501, &[], ""),
        rejection(
            404,
            &json!({ "message": "This is a chat model and not supported in the v1/completions endpoint",
            "type": "invalid_request_error", "param": "model", "code": null }),
        ),
        rejection(
            400,
            &json!({ "code": "OperationNotSupported", "message": "The completion operation does not work \
            with the specified model, m." }),
        ),
    ] {
        let scripted = ScriptedUpstream::start();
        let upstream = client(&scripted);
        scripted.next(rejection);
        let mut question = one();
        question.options.insert("stop".into(), json!(["\n"]));
        for _ in 0..2 {
            assert_eq!(complete_by(&upstream, &question).await, complete("Hello", Usage::reported(3, 2)));
        }
        let paths: Vec<_> = scripted.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/v1/completions", "/v1/chat/completions", "/v1/chat/completions"]);
        let wanted = json!({ "model": "m", "messages": [{ "role": "user", "content": "Once upon" }], "max_tokens": 10,
            "stop": ["\n"], "stream": true, "stream_options": { "include_usage": true } });
        assert_eq!(scripted.request(1).await.body, wanted);
        assert!(upstream.health().last_failure.is_none(), "the upstream is well");
    }
}

#[tokio::test]
async fn a_404_that_may_be_a_gateways_is_not_remembered() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.next(status(404, &[], "<html><title>404 Not Found</title>no healthy upstream"));
    assert_eq!(complete_by(&upstream, &one()).await, complete("Hello", Usage::reported(3, 2)));
    scripted.next([head(), continued(0, "a", Some("stop")), done()]);
    assert_eq!(complete_by(&upstream, &one()).await, complete("a", None));
    let paths: Vec<_> = scripted.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/completions", "/v1/chat/completions", "/v1/completions"]);
}

#[tokio::test]
async fn a_missing_model_is_no_missing_endpoint() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    let error = json!({ "message": "The model `m` does not exist.", "param": "model", "code": 404 });
    scripted.next(rejection(404, &error));
    assert_eq!(complete_by(&upstream, &one()).await, failed("", Failure::ModelUnavailable));
    assert_eq!(scripted.requests().len(), 1);
}

#[tokio::test]
async fn what_no_conversation_can_have_is_named() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.when("prompt", status(404, &[], ""));
    let texts = || Inputs::Texts(vec!["a".to_owned(), "b".to_owned()]);
    for (question, field) in [
        (of(Inputs::Text("a".to_owned()), Some("b")), "suffix"),
        (of(Inputs::Tokens(vec![1]), None), "prompt"),
        (of(texts(), None), "prompt"),
    ] {
        assert_eq!(complete_by(&upstream, &question).await, failed("", Failure::EndpointMissing(field)));
    }
    assert!(scripted.requests().iter().all(|request| request.path == "/v1/completions"));
    // Once it is known, nothing is sent.
    let sent = scripted.requests().len();
    assert_eq!(complete_by(&upstream, &one()).await.end, Ok(()));
    let question = of(texts(), None);
    assert_eq!(complete_by(&upstream, &question).await, failed("", Failure::EndpointMissing("prompt")));
    assert_eq!(scripted.requests().len(), sent + 2);
    assert_eq!(upstream.health().failures_in_a_row, 0);
}

#[tokio::test]
async fn a_conversation_is_never_asked_as_a_completion() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.next(status(405, &[], ""));
    assert_eq!(make_call(&upstream).await, failed("", Failure::ModelUnavailable));
    assert_eq!(scripted.requests().len(), 1);
}

#[tokio::test]
async fn a_completion_that_is_rejected_for_its_form_is_sent_again() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.next(rejection(
        400,
        &json!({ "message": "Unrecognized request argument supplied: stream_options" }),
    ));
    scripted.next([head(), continued(0, "a", Some("stop")), done()]);
    assert_eq!(complete_by(&upstream, &one()).await, complete("a", None));
    assert_eq!(scripted.request(1).await.body.get("stream_options"), None);
    scripted.next(answer("Hello", 1, 1));
    assert_eq!(make_call(&upstream).await.end, Ok(()));
    assert_eq!(scripted.request(2).await.path, "/v1/chat/completions");
}
