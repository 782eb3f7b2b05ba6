//! The client of an upstream, against a scripted upstream.

mod answers;
mod bounds;
mod breakers;
mod cancelling;
mod client;
mod completions;
mod embeddings;
mod failures;
mod floods;
mod mutations;
mod providers;
mod requests;
mod retries;

use std::time::Duration;

use tollgate::domain::Usage;
use tollgate::responder::{
    Failure, Piece, Question, ResponseStream, Upstream, UpstreamKey, UpstreamSettings,
};
use tollgate::throttle::MemoryBudget;

use crate::support::upstream::{ScriptedUpstream, Step, in_time};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn settings(scripted: &ScriptedUpstream) -> UpstreamSettings {
    UpstreamSettings {
        base_url: scripted.url().parse().unwrap(),
        key: Some(UpstreamKey::parse("sk-secret").unwrap()),
        output_limit: tollgate::responder::OutputLimit::default(),
        connect_timeout: LONG,
        first_byte_timeout: LONG,
        idle_timeout: LONG,
        total_timeout: LONG,
        calls: 100,
        waiting: 0,
        patience: LONG,
        memory: MemoryBudget::new(64 << 20),
    }
}

fn client(scripted: &ScriptedUpstream) -> Upstream {
    Upstream::new(settings(scripted)).unwrap()
}

/// The user who makes a call, in tests where that does not matter.
const ADA: i64 = 1;

fn question() -> Question {
    Question::of_message("m", "hi", 10)
}

/// Waits for a place and for the answer to begin.
async fn ask(upstream: &Upstream) -> Result<ResponseStream, Failure> {
    ask_as(ADA, upstream, &question()).await
}

async fn ask_as(user_id: i64, upstream: &Upstream, question: &Question) -> Result<ResponseStream, Failure> {
    let permit = upstream.admit(user_id, "m").await?;
    in_time("an answer to begin", upstream.ask(permit, question)).await
}

async fn next(stream: &mut ResponseStream) -> Result<Option<Piece>, Failure> {
    in_time("the next part", stream.next()).await
}

/// Everything that one call received.
#[derive(Debug, PartialEq)]
struct Outcome {
    text: String,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    end: Result<(), Failure>,
}

/// Makes a call and receives the whole answer.
async fn make_call(upstream: &Upstream) -> Outcome {
    make_call_as(ADA, upstream).await
}

async fn make_call_as(user_id: i64, upstream: &Upstream) -> Outcome {
    outcome_of_question(user_id, upstream, &question()).await
}

async fn outcome_of_question(user_id: i64, upstream: &Upstream, question: &Question) -> Outcome {
    let mut outcome = Outcome { text: String::new(), finish_reason: None, usage: None, end: Ok(()) };
    let mut stream = match ask_as(user_id, upstream, question).await {
        Ok(stream) => stream,
        Err(failure) => return Outcome { end: Err(failure), ..outcome },
    };
    loop {
        match next(&mut stream).await {
            Ok(Some(piece)) => {
                outcome.text.push_str(piece.text());
                let reason = piece.finish_reason.map(|reason| reason.as_str().to_owned());
                outcome.finish_reason = reason.or(outcome.finish_reason);
            }
            Ok(None) => break,
            Err(failure) => {
                outcome.end = Err(failure);
                break;
            }
        }
    }
    outcome.usage = stream.usage();
    let again = next(&mut stream).await.map(|piece| assert_eq!(piece, None));
    assert_eq!(again, outcome.end, "the end must be final");
    outcome
}

/// Makes a call to an upstream with this script.
async fn outcome_of(script: impl IntoIterator<Item = Step>) -> Outcome {
    let scripted = ScriptedUpstream::start();
    scripted.next(script);
    make_call(&client(&scripted)).await
}

fn complete(text: &str, usage: Option<Usage>) -> Outcome {
    Outcome { text: text.to_owned(), finish_reason: Some("stop".to_owned()), usage, end: Ok(()) }
}

fn failed(text: &str, failure: Failure) -> Outcome {
    Outcome { text: text.to_owned(), finish_reason: None, usage: None, end: Err(failure) }
}
