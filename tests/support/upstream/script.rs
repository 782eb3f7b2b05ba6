//! The steps of a scripted upstream, and the parts of a complete answer.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::in_time;

/// One step of a script. After the last one the connection waits for the next request, if the
/// response has ended.
#[derive(Clone)]
pub enum Step {
    /// Sends exactly these bytes, outside the chunked encoding: a head, or anything.
    Raw(Vec<u8>),
    /// Sends the same bytes repeatedly.
    RawForever(Vec<u8>),
    /// Sends a chunk of the body, in one piece.
    Chunk(Vec<u8>),
    /// Sends the same chunk repeatedly, until the client has gone.
    Forever(Vec<u8>),
    /// Sends the same bytes repeatedly, a hundred times a second.
    Drip(Vec<u8>),
    /// Sends nothing until the test releases it. [`Signal::step`] makes this step.
    Wait(Signal),
    /// Sends nothing until the client has gone.
    Hang,
    /// Ends the body properly.
    End,
    /// Closes the connection, as after a complete response.
    Close,
    /// Resets the connection.
    Reset,
}

/// Stops a script at a place that the test chooses.
#[derive(Clone)]
pub struct Signal {
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Default for Signal {
    fn default() -> Signal {
        Signal { reached: Arc::new(Semaphore::new(0)), released: Arc::new(Semaphore::new(0)) }
    }
}

impl Signal {
    /// Returns the step at which the script stops.
    pub fn step(&self) -> Step {
        Step::Wait(self.clone())
    }

    /// Waits until the script has reached the step, so that everything before it is sent.
    pub async fn reached(&self) {
        in_time("the script to reach its signal", self.reached.acquire()).await.unwrap().forget();
    }

    /// Lets the script continue, once.
    pub fn release(&self) {
        self.released.add_permits(1);
    }

    pub(super) async fn wait(&self) {
        self.reached.add_permits(1);
        self.released.acquire().await.unwrap().forget();
    }
}

/// Returns the head of a stream of events.
pub fn head() -> Step {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    Step::Raw(head.into())
}

/// Returns an event with this data.
pub fn event(data: &str) -> Step {
    Step::Chunk(format!("data: {data}\n\n").into_bytes())
}

/// Returns an event with one choice, with this delta and finish reason.
pub fn chunk(delta: Value, finish_reason: Option<&str>) -> Step {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
    let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [choice] });
    event(&chunk.to_string())
}

/// Returns the first event, which has the role.
pub fn role() -> Step {
    chunk(json!({ "role": "assistant", "content": null }), None)
}

/// Returns an event with text.
pub fn text(text: &str) -> Step {
    chunk(json!({ "content": text }), None)
}

/// Returns the event with the finish reason.
pub fn finish(reason: &str) -> Step {
    chunk(json!({}), Some(reason))
}

/// Returns the event with the usage.
pub fn usage(prompt_tokens: i64, completion_tokens: i64) -> Step {
    let total_tokens = prompt_tokens.saturating_add(completion_tokens);
    let usage = json!({ "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
        "total_tokens": total_tokens });
    event(&json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage }).to_string())
}

/// Returns the last event.
pub fn done() -> Step {
    event("[DONE]")
}

/// Returns a complete answer, with one word in each event.
pub fn answer(words: &str, prompt_tokens: i64, completion_tokens: i64) -> Vec<Step> {
    let mut script = vec![head(), role()];
    script.extend(words.split_inclusive(' ').map(text));
    script.extend([finish("stop"), usage(prompt_tokens, completion_tokens), done(), Step::End]);
    script
}

/// Returns an event with one choice of a completion: this text and finish reason.
pub fn continued(index: usize, text: &str, finish_reason: Option<&str>) -> Step {
    let choice = json!({ "index": index, "text": text, "logprobs": null, "finish_reason": finish_reason });
    event(&json!({ "id": "cmpl-1", "object": "text_completion", "choices": [choice] }).to_string())
}

/// Returns a response with vectors, one for each input, in this order.
pub fn embeddings(vectors: &[&[f32]], prompt_tokens: i64) -> Vec<Step> {
    let element = |(index, vector): (usize, &&[f32])| json!({ "object": "embedding", "index": index, "embedding": vector });
    let data: Vec<Value> = vectors.iter().enumerate().map(element).collect();
    let usage = json!({ "prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens });
    let body = json!({ "object": "list", "data": data, "model": "m", "usage": usage });
    status(200, &[("content-type", "application/json")], &body.to_string())
}

/// Returns a response in one piece.
pub fn status(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<Step> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let response = format!("HTTP/1.1 {status} Whatever\r\n{headers}content-length: {length}\r\n\r\n{body}");
    vec![Step::Raw(response.into_bytes())]
}
