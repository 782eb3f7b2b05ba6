//! Embeddings: a vector for each input, however the upstream writes them.

use serde_json::{Value, json};
use tollgate::responder::{Embeddings, Inputs, QuestionKind};

use super::*;
use crate::support::upstream::{embeddings, event, head, status};

fn inputs(count: usize) -> Inputs {
    Inputs::Texts((0..count).map(|number| format!("text {number}")).collect())
}

fn of(inputs: Inputs) -> Question {
    let kind = QuestionKind::Embeddings(inputs);
    Question { kind, messages: Vec::new(), max_output: 0, ..question() }
}

type Made = Result<(Vec<Vec<f32>>, Option<Usage>), Failure>;

async fn make(upstream: &Upstream, question: &Question) -> Made {
    let QuestionKind::Embeddings(inputs) = &question.kind else { panic!("not for embeddings") };
    let permit = upstream.admit(ADA, "m").await?;
    let asked = upstream.ask_for_embeddings(permit, question, inputs);
    let mut stream = in_time("an answer to begin", asked).await?;
    let first = in_time("the vectors", stream.next()).await;
    let again = stream.next().await;
    let piece = match first {
        Ok(piece) => piece.expect("the vectors"),
        Err(failure) => {
            assert_eq!(again, Err(failure), "the end must be final");
            return Err(failure);
        }
    };
    assert_eq!(again, Ok(None), "the end must be final");
    let embeddings: &Embeddings = piece.embeddings.as_deref().expect("vectors");
    let vectors = (0..embeddings.count()).map(|index| embeddings.vector(index).unwrap().to_vec()).collect();
    Ok((vectors, stream.usage()))
}

async fn made_of(count: usize, script: impl IntoIterator<Item = Step>) -> Made {
    let scripted = ScriptedUpstream::start();
    scripted.next(script);
    let upstream = client(&scripted);
    let made = make(&upstream, &of(inputs(count))).await;
    assert_eq!(upstream.health().in_flight, 0);
    made
}

fn json_of(body: &str) -> Vec<Step> {
    status(200, &[("content-type", "application/json")], body)
}

#[tokio::test]
async fn inputs_go_to_embeddings_with_what_they_need() {
    for inputs in [
        Inputs::Text("hi".to_owned()),
        inputs(1),
        Inputs::Tokens(vec![1, 100_000]),
        Inputs::TokenLists(vec![vec![1, 2]]),
    ] {
        let scripted = ScriptedUpstream::start();
        let upstream = client(&scripted);
        scripted.next(embeddings(&[&[0.25, -1.0]], 7));
        let mut question = of(inputs.clone());
        for (name, value) in
            [("dimensions", json!(2)), ("encoding_format", json!("base64")), ("stream", json!(true))]
        {
            question.options.insert(name.to_owned(), value);
        }
        assert_eq!(make(&upstream, &question).await, Ok((vec![vec![0.25, -1.0]], Usage::reported(7, 0))));
        let request = scripted.request(0).await;
        assert_eq!(request.path, "/v1/embeddings");
        let wanted = json!({ "model": "m", "input": inputs, "dimensions": 2, "encoding_format": "float" });
        assert_eq!(request.body, wanted);
        assert!(upstream.health().last_success.is_some());
    }
}

#[tokio::test]
async fn vectors_come_in_any_order_and_in_any_pieces() {
    let body = r#"{"data":[{"index":2,"embedding":[3]},{"index":0,"embedding":[1]},
        {"index":1,"embedding":"AAAAQA=="}],"usage":{"total_tokens":9}}"#;
    let whole = Ok((vec![vec![1.0], vec![2.0], vec![3.0]], Usage::reported(9, 0)));
    assert_eq!(made_of(3, json_of(body)).await, whole);
    let head = Step::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
    let pieces = body.as_bytes().chunks(5).map(|bytes| Step::Chunk(bytes.to_vec()));
    // Whatever follows the object is not waited for.
    let script = [head].into_iter().chain(pieces).chain([Step::Hang]);
    assert_eq!(made_of(3, script).await, whole);
}

#[tokio::test]
async fn each_input_has_exactly_one_vector_of_the_same_length() {
    for data in [
        r#"{"index":0,"embedding":[1]}"#,
        r#"{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}"#,
        r#"{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}"#,
        r#"{"index":1,"embedding":[1]},{"embedding":[1]}"#,
        r#"{"index":0,"embedding":[]},{"index":1,"embedding":[]}"#,
        r#"{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}"#,
        r#"{"index":0,"embedding":[1]},{"index":1,"embedding":[NaN]}"#,
        r#"{"index":0,"embedding":[1]},{"index":1,"embedding":[1]},{"index":2,"embedding":[1]}"#,
        "",
    ] {
        let made = made_of(2, json_of(&format!(r#"{{"data":[{data}]}}"#))).await;
        assert_eq!(made, Err(Failure::Unreadable), "{data}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails() {
    let first = r#"{"data":[{"index":0,"embedding":[1]},"#;
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{first}");
    for end in [Step::Close, Step::Reset] {
        let script = [Step::Raw(head(1000).into_bytes()), end];
        let failure = made_of(2, script).await.unwrap_err();
        assert!([Failure::CutShort, Failure::ConnectionLost].contains(&failure), "{failure:?}");
    }
    let ended = [Step::Raw(head(first.len()).into_bytes())];
    assert_eq!(made_of(2, ended).await, Err(Failure::CutShort));
    let scripted = ScriptedUpstream::start();
    scripted.next([Step::Raw(head(1000).into_bytes()), Step::Hang]);
    let upstream = Upstream::new(UpstreamSettings { idle_timeout: SHORT, ..settings(&scripted) }).unwrap();
    assert_eq!(make(&upstream, &of(inputs(2))).await, Err(Failure::Stalled));
    scripted.until_client_is_gone(0).await;
}

#[tokio::test]
async fn other_answers_are_no_vectors() {
    let stream = [head(), event(r#"{"data":[]}"#), Step::End];
    assert_eq!(made_of(1, stream).await, Err(Failure::NotAnAnswer));
    for (body, failure) in [
        ("[[0.1]]", Failure::NotAnAnswer),
        (r#"{"choices":[]}"#, Failure::NotAnAnswer),
        (r#"{"error":{"message":"gossip"}}"#, Failure::ErrorInAnswer),
        ("<html>", Failure::NotAnAnswer),
    ] {
        assert_eq!(made_of(1, json_of(body)).await, Err(failure), "{body}");
    }
}

#[tokio::test]
async fn rejections_mean_what_they_mean_for_conversations() {
    let error = |error: Value| json!({ "error": error }).to_string();
    let too_long = "This model's maximum context length is 8192 tokens, however you requested 9000 tokens";
    for (code, body, failure) in [
        (400, error(json!({ "message": too_long })), Failure::ContextTooLong),
        (
            400,
            error(json!({ "message": "no", "param": "dimensions" })),
            Failure::RequestRejected(Some("dimensions")),
        ),
        (401, String::new(), Failure::KeyRejected),
        (404, error(json!({ "message": "no", "code": "model_not_found" })), Failure::ModelUnavailable),
        (404, String::new(), Failure::EndpointMissing("model")),
        (
            403,
            error(json!({ "message": "You are not allowed to generate embeddings from this model" })),
            Failure::EndpointMissing("model"),
        ),
        (501, String::new(), Failure::EndpointMissing("model")),
        (500, String::new(), Failure::ServerError),
    ] {
        assert_eq!(made_of(1, status(code, &[], &body)).await, Err(failure), "{code} {body}");
    }
}

#[tokio::test]
async fn an_upstream_that_rejects_the_format_is_not_asked_for_it_again() {
    let scripted = ScriptedUpstream::start();
    let upstream = client(&scripted);
    scripted.next(status(400, &[], "encoding_format: extra inputs are not permitted"));
    for _ in 0..2 {
        scripted.next(embeddings(&[&[1.0]], 1));
        assert!(make(&upstream, &of(inputs(1))).await.is_ok());
    }
    let formats = scripted.requests().into_iter().map(|request| request.body["encoding_format"].clone());
    assert_eq!(formats.collect::<Vec<_>>(), [json!("float"), Value::Null, Value::Null]);
}

/// The default batch of LangChain with the largest vectors of OpenAI.
#[tokio::test]
async fn a_thousand_long_vectors_take_only_the_memory_of_their_numbers() {
    let scripted = ScriptedUpstream::start();
    let number = "-0.0123456789,";
    let vector = format!("[{}1]", number.repeat(3071));
    let element = |index: usize| format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#);
    let data: Vec<String> = (0..1000).map(element).collect();
    let body = format!(r#"{{"object":"list","data":[{}]}}"#, data.join(","));
    assert!(body.len() > 40_000_000);
    scripted.next(json_of(&body));
    let memory = MemoryBudget::new(16 << 20);
    let upstream = Upstream::new(UpstreamSettings { memory: memory.clone(), ..settings(&scripted) }).unwrap();
    let question = of(inputs(1000));
    let QuestionKind::Embeddings(inputs) = &question.kind else { unreachable!() };
    let permit = upstream.admit(ADA, "m").await.unwrap();
    let mut stream = upstream.ask_for_embeddings(permit, &question, inputs).await.unwrap();
    // A busy machine takes long for so much text. The idle timeout limits it.
    let piece = stream.next().await.unwrap().unwrap();
    let made = piece.embeddings.unwrap();
    assert_eq!((made.count(), made.dimensions()), (1000, 3072));
    assert_eq!(memory.used(), 1000 * 3072 * 4);
    drop((made, stream));
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn vectors_that_exceed_their_limits_fail() {
    let vector =
        |values: usize| format!(r#"{{"data":[{{"index":0,"embedding":[0{}]}}"#, ",0".repeat(values - 1));
    // 2,048 of these would have more numbers than one answer may have.
    assert_eq!(made_of(2048, json_of(&vector(4097))).await, Err(Failure::TooLarge));
    let long = Step::Forever(b"0.1000000000000000,".repeat(1000));
    let head = Step::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
    let begin = Step::Chunk(br#"{"data":[{"index":0,"embedding":["#.to_vec());
    assert_eq!(made_of(1, [head, begin, long]).await, Err(Failure::TooLarge));
    let scripted = ScriptedUpstream::start();
    scripted.next(embeddings(&[&[1.0; 100]], 1));
    let memory = MemoryBudget::new(399);
    let upstream = Upstream::new(UpstreamSettings { memory, ..settings(&scripted) }).unwrap();
    assert_eq!(make(&upstream, &of(inputs(1))).await, Err(Failure::MemoryFull));
}
