//! Every row of the table of providers, through the whole server: streamed and plain, with a price
//! by message and by usage.

use std::collections::HashMap;

use futures_util::future::LocalBoxFuture;
use rstest::rstest;
use serde_json::{Value, json};

use super::client::{Got, read, without_nothing};
use crate::support::On;
use crate::support::app::{Request, TestApp};
use crate::support::http::Answer;
use crate::support::ledger::{count, lines, raw};
use crate::support::upstream::providers::{Answered, Failed, Outcome, Row, rows};
use crate::support::upstream::{ScriptedUpstream, Step, done, event, finish, head, status, text};

/// The price of the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// 100 per message.
    Message,
    /// 7 per message, 1 per token of the prompt, and 2 per token of the answer.
    Usage,
}

impl Price {
    pub fn set(self, app: &TestApp) {
        let [base, prompt, completion] = match self {
            Price::Message => ["NULL"; 3],
            Price::Usage => ["7", "1000", "2000"],
        };
        app.sql(&format!(
            "UPDATE models SET base_price = {base}, prompt_price = {prompt}, completion_price = {completion}"
        ));
    }

    /// Returns the cost of a chat for which this was held.
    pub fn cost(self, held: i64, prompt_tokens: i64, completion_tokens: i64) -> i64 {
        match self {
            Price::Message => held,
            Price::Usage => (7 + prompt_tokens + 2 * completion_tokens).min(held),
        }
    }
}

/// A chat as it is stored, and its entries in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub state: String,
    pub failure: String,
    pub response: String,
    pub held: i64,
    /// The tokens of prompt and completion, and whether Tollgate counted them.
    pub usage: Option<(i64, i64, bool)>,
    /// Kind and amount.
    pub ledger: Vec<(String, i64)>,
}

impl Stored {
    /// Returns the id of the last chat, or 0.
    pub fn last(app: &TestApp) -> i64 {
        let mut conn = raw(app.database().on(), app.database().url());
        count(&mut conn, "SELECT coalesce(max(id), 0) AS n FROM chats")
    }

    /// Returns the chats after the one with this id, oldest first, each with its id and message.
    pub fn after(app: &TestApp, id: i64) -> Vec<(i64, String, Stored)> {
        let mut conn = raw(app.database().on(), app.database().url());
        let chats = lines(
            &mut conn,
            &format!(
                "SELECT CAST(id AS text) || '|' || message || '|' || state || '|' || coalesce(failure, '') || '|' ||
                        CAST(charge AS text) || '|' || coalesce(CAST(prompt_tokens AS text), '') || '|' ||
                        coalesce(CAST(completion_tokens AS text), '') || '|' ||
                        CASE WHEN usage_estimated THEN 'counted' ELSE '' END || '|' || coalesce(response, '') AS line
                 FROM chats WHERE id > {id} ORDER BY id"
            ),
        );
        let entries = lines(
            &mut conn,
            &format!(
                "SELECT CAST(chat_id AS text) || '|' || kind || '|' || CAST(amount AS text) AS line
                 FROM ledger_entries WHERE chat_id > {id} ORDER BY id"
            ),
        );
        let mut ledgers: HashMap<i64, Vec<(String, i64)>> = HashMap::new();
        for entry in entries {
            let mut fields = entry.split('|');
            let mut next = || fields.next().unwrap();
            let (chat, kind, amount) = (next().parse().unwrap(), next().to_owned(), next().parse().unwrap());
            ledgers.entry(chat).or_default().push((kind, amount));
        }
        let stored = |chat: String| {
            let mut fields = chat.splitn(9, '|');
            let mut next = || fields.next().unwrap().to_owned();
            let (id, message, state, failure) = (next().parse().unwrap(), next(), next(), next());
            let held = next().parse().unwrap();
            let tokens = [next(), next()].map(|tokens| tokens.parse().ok());
            let is_counted = !next().is_empty();
            let usage = match tokens {
                [Some(prompt), Some(completion)] => Some((prompt, completion, is_counted)),
                _ => None,
            };
            let ledger = ledgers.remove(&id).unwrap_or_default();
            (id, message, Stored { state, failure, response: next(), held, usage, ledger })
        };
        chats.into_iter().map(stored).collect()
    }

    /// Returns the ledger of a chat that was settled at this cost.
    pub fn settled(&self, cost: i64) -> Vec<(String, i64)> {
        let rest = self.held - cost;
        let mut ledger = vec![("charge".to_owned(), -self.held)];
        ledger.extend((rest > 0).then(|| ("settlement".to_owned(), rest)));
        ledger
    }

    /// Returns the ledger of a chat that was refunded.
    pub fn refunded(&self) -> Vec<(String, i64)> {
        vec![("charge".to_owned(), -self.held), ("refund".to_owned(), self.held)]
    }
}

/// A server with a scripted upstream, which offers one model for each name, and a rich user.
pub struct World {
    pub app: TestApp,
    pub upstream: ScriptedUpstream,
    pub token: String,
}

impl World {
    /// Starts it. `None` if this machine does not have the database.
    pub async fn start(on: On, models: &str, flags: &[&str]) -> Option<World> {
        let upstream = ScriptedUpstream::start();
        let url = upstream.url();
        let mut all = vec!["--responder", "openai", "--upstream-url", &url, "--upstream-models", models];
        all.extend(["--upstream-max-output", "10000", "--opening-tokens", "1000000000000"]);
        all.extend(flags);
        let app = TestApp::spawn_with(on, &all).await?;
        app.services.toll.note_models().await.unwrap();
        let token = app.user("ada").await;
        Some(World { app, upstream, token })
    }

    /// Asks on `/v1`, with these further fields.
    pub fn ask(
        &self,
        model: &str,
        message: &str,
        streamed: bool,
        more: &Value,
    ) -> LocalBoxFuture<'static, Answer> {
        self.request(model, message, streamed, more).send()
    }

    fn request(&self, model: &str, message: &str, streamed: bool, more: &Value) -> Request<'_> {
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": message }],
            "stream": streamed, "stream_options": { "include_usage": true } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.app.request("POST", "/v1/chat/completions").bearer(&self.token).json(&body)
    }
}

/// One request of a row, and its outcome.
struct Case<'a> {
    row: &'a Row,
    price: Price,
    streamed: bool,
    got: Got,
    stored: Stored,
    should_retry: Option<String>,
}

/// Differences between what was wanted and what was got.
type Faults = Vec<String>;

fn compare<T: PartialEq + std::fmt::Debug>(faults: &mut Faults, what: &str, got: T, wanted: T) {
    if got != wanted {
        faults.push(format!("{what} {got:?} instead of {wanted:?}"));
    }
}

impl Case<'_> {
    fn faults(&self) -> Faults {
        let mut faults = self.got.garbled.clone();
        match &self.row.outcome {
            Outcome::Answer(answered) => self.check_answer(answered, &mut faults),
            Outcome::Failure(failed) => self.check_failure(failed, &mut faults),
        }
        faults
    }

    fn check_answer(&self, answered: &Answered, faults: &mut Faults) {
        let (got, stored) = (&self.got, &self.stored);
        compare(faults, "error", got.error.as_ref(), None);
        compare(faults, "whole", got.is_whole, true);
        let choices = answered.choices.iter();
        let choices: Vec<_> =
            choices.map(|(message, reason)| (without_nothing(message), Some((*reason).to_owned()))).collect();
        compare(faults, "choices", &got.choices, &choices);
        compare(faults, "state", stored.state.as_str(), "complete");
        let text = answered.choices[0].0["content"].as_str().unwrap_or_default();
        compare(faults, "stored text", stored.response.as_str(), text);
        let Some((prompt, completion, is_counted)) = stored.usage else {
            return faults.push("no usage was stored".to_owned());
        };
        compare(faults, "counted by us", is_counted, answered.usage.is_none());
        let wanted = answered.usage.unwrap_or((prompt, completion));
        compare(faults, "stored usage", (prompt, completion), wanted);
        let shown = got.usage.clone().unwrap_or_default();
        let numbers = ["prompt_tokens", "completion_tokens", "total_tokens"].map(|name| shown[name].as_i64());
        compare(faults, "usage", numbers, [wanted.0, wanted.1, wanted.0 + wanted.1].map(Some));
        compare(faults, "details", contains(&shown, &answered.details), true);
        let answers = i64::try_from(answered.choices.len()).unwrap();
        if self.price == Price::Message {
            compare(faults, "hold", stored.held, 100 * answers);
        }
        let cost = self.price.cost(stored.held, wanted.0, wanted.1);
        compare(faults, "ledger", &stored.ledger, &stored.settled(cost));
    }

    fn check_failure(&self, failed: &Failed, faults: &mut Faults) {
        let (got, stored) = (&self.got, &self.stored);
        let (status, code) = failed.status_and_error();
        let error = got.error.clone().unwrap_or_default();
        compare(faults, "whole", got.is_whole, false);
        compare(faults, "code of the error", error["code"].as_str(), Some(code));
        let kind = if status == 400 { "invalid_request_error" } else { "server_error" };
        compare(faults, "type of the error", error["type"].as_str(), Some(kind));
        let param = error["param"].as_str();
        let may_be_missing = failed.is_in_a_text && param.is_none();
        let is_of_the_prompt = failed.code == "context_too_long" && param == Some("messages");
        if !may_be_missing && !is_of_the_prompt {
            compare(faults, "param", param, failed.param);
        }
        if self.streamed && got.status == 200 {
            let ended = got.choices.iter().filter(|(_, reason)| reason.is_some()).count();
            let asked = self.row.request["n"].as_u64().unwrap_or(1);
            compare(faults, "all choices have ended", ended as u64 >= asked, false);
        } else {
            compare(faults, "status", got.status, status);
            let is_for_good = (status == 400).then_some("false");
            compare(
                faults,
                "x-should-retry",
                self.should_retry.as_deref().filter(|_| status == 400),
                is_for_good,
            );
        }
        compare(faults, "state", (stored.state.as_str(), stored.failure.as_str()), ("failed", failed.code));
        if let Some(arrived) = &failed.arrived {
            let passed_on = got.choices.first().map_or(json!({}), |(message, _)| message.clone());
            let wanted = if self.streamed { arrived.clone() } else { json!({}) };
            compare(faults, "part that arrived", passed_on, wanted);
            let text = arrived["content"].as_str().unwrap_or_default();
            compare(faults, "stored text", stored.response.as_str(), text);
        }
        let ledger = match (self.price, failed.settled) {
            (Price::Usage, Some(prompt)) => stored.settled(self.price.cost(stored.held, prompt, 0)),
            _ => stored.refunded(),
        };
        compare(faults, "ledger", &stored.ledger, &ledger);
    }
}

/// Returns whether a value has all of these fields.
fn contains(value: &Value, fields: &Value) -> bool {
    match fields.as_object() {
        Some(fields) => fields.iter().all(|(name, wanted)| contains(&value[name], wanted)),
        None => value == fields,
    }
}

/// Makes all four requests of a row. Returns what is wrong with it, and where.
async fn faults_of(world: &World, row: &Row) -> Faults {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for price in [Price::Message, Price::Usage] {
        price.set(&world.app);
        for streamed in [true, false] {
            let is_first = (price, streamed) == (Price::Message, true);
            for fault in ask(world, row, price, streamed, is_first).await {
                let way = format!("{} by {price:?}", if streamed { "streamed" } else { "plain" });
                match found.iter_mut().find(|(other, _)| *other == fault) {
                    Some((_, ways)) => ways.push(way),
                    None => found.push((fault, vec![way])),
                }
            }
        }
    }
    found.into_iter().map(|(fault, ways)| format!("{}: {fault} ({})", row.name, ways.join(", "))).collect()
}

async fn ask(world: &World, row: &Row, price: Price, streamed: bool, is_first: bool) -> Faults {
    let World { app, upstream, .. } = world;
    // The rejection is remembered, so only the first request gets it.
    let is_rejected = is_first && row.rejected_field.is_some();
    let (last, before) = row.recordings.split_last().unwrap();
    if is_rejected {
        before.iter().for_each(|recording| upstream.next(recording.steps()));
    }
    upstream.otherwise(last.steps());
    let (calls, last_chat) = (upstream.requests().len(), Stored::last(app));
    let key = format!("{}-{price:?}-{streamed}", row.name);
    let send = |streamed| {
        world.request(row.name, "Hello", streamed, &row.request).header("Idempotency-Key", &key).send()
    };
    let answer = send(streamed).await;
    let requests = upstream.requests();
    let mut faults = Vec::new();
    let wanted = if row.rejected_field.is_some() && !is_first { Some(1) } else { row.calls };
    if let Some(wanted) = wanted {
        compare(&mut faults, "calls", requests.len() - calls, wanted);
    }
    if let Some(field) = row.rejected_field {
        check_adapted(&requests.last().unwrap().body, field, &mut faults);
    }
    let mut chats = Stored::after(app, last_chat);
    let (Some((_, _, stored)), got) = (chats.pop(), read(&answer)) else {
        faults.push(format!("no chat was stored: {} {}", answer.status, answer.text()));
        return faults;
    };
    let got = match got {
        Ok(got) => got,
        Err(fault) => return vec![fault],
    };
    let should_retry = answer.header("x-should-retry").map(str::to_owned);
    let case = Case { row, price, streamed, got, stored, should_retry };
    faults.extend(case.faults());
    // A retry gets the stored answer, here in the other form.
    if case.got.is_whole {
        let again = read(&send(!streamed).await);
        let wanted = Got { garbled: Vec::new(), ..case.got };
        compare(&mut faults, "the stored answer, in the other form", &again, &Ok(wanted));
        compare(&mut faults, "calls for the stored answer", upstream.requests().len(), requests.len());
    }
    faults
}

/// Checks a request that is made without the field that was rejected.
fn check_adapted(body: &Value, field: &str, faults: &mut Faults) {
    let is_sent = |field: &str| body.get(field).is_some_and(|value| value != false);
    compare(faults, "the rejected field is sent again:", is_sent(field), false);
    // Upstreams reject the options of a stream where there is none.
    compare(faults, "options without a stream:", !is_sent("stream") && is_sent("stream_options"), false);
    // The price was calculated from the limit.
    let limits = [is_sent("max_tokens"), is_sent("max_completion_tokens")];
    compare(faults, "the answer has one limit:", limits[0] != limits[1], true);
}

#[rstest]
#[actix_web::test]
async fn each_peculiarity_of_a_provider_is_understood(#[values(On::Sqlite, On::Postgres)] on: On) {
    let rows = rows();
    let mut kinds: Vec<_> = rows.iter().map(|row| row.flags).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut faults = Vec::new();
    for flags in kinds {
        let rows: Vec<_> = rows.iter().filter(|row| row.flags == flags).collect();
        // Each row has a model of its own, because a rejection is remembered for its model.
        let models: Vec<_> = rows.iter().map(|row| row.name).collect();
        let Some(world) = World::start(on, &models.join(","), flags).await else { return };
        for row in rows {
            faults.extend(faults_of(&world, row).await);
        }
    }
    let number = faults.len();
    assert!(faults.is_empty(), "{number} differences:\n{}", faults.join("\n"));
}

/// Finish reasons of upstreams, and the one that the client gets. `None` is a failure.
const FINISH_REASONS: [(&str, Option<&str>); 32] = [
    ("stop", Some("stop")),
    ("eos", Some("stop")),
    ("eos_token", Some("stop")),
    ("end_turn", Some("stop")),
    ("stop_sequence", Some("stop")),
    ("STOP", Some("stop")),
    ("COMPLETE", Some("stop")),
    ("length", Some("length")),
    ("model_length", Some("length")),
    ("max_tokens", Some("length")),
    ("MAX_TOKENS", Some("length")),
    ("tool_calls", Some("tool_calls")),
    ("tool_use", Some("tool_calls")),
    ("function_call", Some("function_call")),
    ("content_filter", Some("content_filter")),
    ("safety", Some("content_filter")),
    ("SAFETY", Some("content_filter")),
    ("RECITATION", Some("content_filter")),
    ("sensitive", Some("content_filter")),
    ("repetition", Some("repetition")),
    ("error", None),
    ("Error", None),
    ("abort", None),
    ("aborted", None),
    ("cancelled", None),
    ("canceled", None),
    ("failed", None),
    ("timeout", None),
    ("network_error", None),
    ("model_error", None),
    ("insufficient_system_resource", None),
    ("ABORT", None),
];

#[actix_web::test]
async fn each_finish_reason_is_one_of_the_protocol_or_a_failure() {
    let Some(world) = World::start(On::Sqlite, "m", &[]).await else { return };
    let mut faults = Vec::new();
    for (theirs, ours) in FINISH_REASONS {
        world.upstream.otherwise([head(), text("Hello"), finish(theirs), done(), Step::End]);
        for streamed in [true, false] {
            let last = Stored::last(&world.app);
            let got = read(&world.ask("m", "Hello", streamed, &json!({})).await).unwrap();
            let (_, _, stored) = Stored::after(&world.app, last).remove(0);
            let reason = got.choices.first().and_then(|(_, reason)| reason.as_deref());
            compare(&mut faults, theirs, (got.is_whole, reason), (ours.is_some(), ours));
            let (state, failure) = ours.map_or(("failed", "error_in_answer"), |_| ("complete", ""));
            compare(&mut faults, theirs, (stored.state.as_str(), stored.failure.as_str()), (state, failure));
            let ledger = ours.map_or_else(|| stored.refunded(), |_| stored.settled(100));
            compare(&mut faults, theirs, &stored.ledger, &ledger);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What upstreams say to a prompt that is too long, besides the rows of the table.
const TOO_LONG: [&str; 11] = [
    "prompt is too long: 213462 tokens > 200000 maximum",
    "Input is too long for requested model.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Requested token count exceeds the model's maximum context length of 131072 tokens.",
    "Requested tokens (2285) exceed context window of 2048",
    "Input length 265330 exceeds the maximum allowed input length of 262144 tokens.",
    "prompt token count of 145000 exceeds the limit of 128000",
    "invalid params, context window exceeds limit (2013)",
    "Your request exceeded model token limit: 262144 (requested: 300000)",
    "prompt too long; exceeded max context length by 4096 tokens",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
];

/// What they say to other faults, in similar words.
const NOT_TOO_LONG: [&str; 3] = [
    "Invalid 'messages[0].name': string too long. Expected a string with maximum length 64, but got a string with length 116 instead.",
    "Too many tools: 130 exceed the maximum of 128.",
    "At most 4 images may be provided in one prompt.",
];

#[actix_web::test]
async fn each_wording_of_a_prompt_that_is_too_long_is_understood() {
    let Some(world) = World::start(On::Sqlite, "m", &[]).await else { return };
    let mut faults = Vec::new();
    let too_long = TOO_LONG.map(|text| (text, "context_too_long"));
    for (text, code) in too_long.into_iter().chain(NOT_TOO_LONG.map(|text| (text, "request_rejected"))) {
        // In its own form: nested, flat, as a string, or as an event.
        let error = json!({ "message": text, "type": "invalid_request_error", "param": null, "code": null });
        let json = [("content-type", "application/json")];
        let mut scripts = vec![
            status(400, &json, &json!({ "error": error }).to_string()),
            status(400, &json, &json!({ "object": "error", "message": text, "code": 400 }).to_string()),
            status(400, &json, &json!({ "error": text }).to_string()),
            status(400, &json, &json!({ "detail": text }).to_string()),
        ];
        if code == "context_too_long" {
            scripts.push(vec![head(), event(&json!({ "error": error }).to_string()), Step::End]);
        }
        for script in scripts {
            world.upstream.otherwise(script);
            let last = Stored::last(&world.app);
            let got = read(&world.ask("m", "Hello", false, &json!({})).await).unwrap();
            let (_, _, stored) = Stored::after(&world.app, last).remove(0);
            compare(&mut faults, text, (got.status, stored.failure.as_str()), (400, code));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
