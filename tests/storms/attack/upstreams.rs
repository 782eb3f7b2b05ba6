//! Users who make an upstream fail or take all of its calls, and upstreams that answer with
//! anything.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::figures::report;
use crate::support::honest::HonestUser;
use crate::support::memory::PeakMemory;
use crate::support::server::{Server, assert_verified};
use crate::support::upstream::{
    Request, ScriptedUpstream, Step, chunk, done, event, finish, head, status, text, usage,
};
use crate::support::{On, TestDatabase, require, wait};

const PATIENCE: Duration = Duration::from_secs(30);

/// The limit on the server's memory during a storm, in MB.
const MOST_MEMORY: u64 = 300;

struct Storm {
    server: Server,
    upstream: ScriptedUpstream,
    database: TestDatabase,
}

impl Storm {
    fn start(flags: &[&str]) -> Storm {
        let database = TestDatabase::create(On::Sqlite).expect("SQLite is always there");
        let upstream = ScriptedUpstream::start();
        let url = upstream.url();
        let all = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "m,n"];
        let all: Vec<&str> =
            all.iter().chain(["--opening-tokens", "1000000"].iter()).chain(flags).copied().collect();
        let server = Server::start(&database, &all);
        Storm { server, upstream, database }
    }

    fn ask(&self, token: &str, model: &str, message: &str) -> u16 {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": message }] });
        let answer = self.server.client().post("/v1/chat/completions", Some(token), &body);
        answer.map_or(0, |answer| answer.status)
    }

    /// Begins a stream and does not read it.
    fn begin_stream(&self, token: &str, message: &str) -> TcpStream {
        let body = json!({ "message": message, "stream": true }).to_string();
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        let head = format!(
            "POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        stream
    }

    fn close(self) {
        let Storm { mut server, upstream, database } = self;
        server.kill9();
        drop(upstream);
        assert_verified(&database);
    }
}

/// Returns the length of a storm in seconds: for a quick test, for all tests, or for the proofs.
fn seconds() -> u64 {
    match (require::proofs(), require::long()) {
        (true, _) => 60,
        (_, true) => 12,
        _ => 6,
    }
}

/// Returns words in a message that make the upstream fail, as prompts can crash a model.
fn provoked() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("provoke-500", status(500, &[], "")),
        ("provoke-502", status(502, &[], "")),
        ("provoke-503", status(503, &[("retry-after", "60")], "")),
        ("provoke-401", status(401, &[], "")),
        ("provoke-404", status(404, &[], "")),
        ("provoke-reset", vec![Step::Reset]),
        ("provoke-cut", vec![head(), text("a"), Step::Close]),
        ("provoke-silence", vec![Step::Hang]),
        ("provoke-stall", vec![head(), text("a"), Step::Hang]),
        ("provoke-error", vec![head(), event(r#"{"error":"x"}"#), Step::End]),
        ("provoke-html", status(200, &[("content-type", "text/html")], "<p>")),
        ("provoke-nonsense", vec![head(), event("nonsense"), Step::End]),
    ]
}

#[test]
fn a_user_who_provokes_failures_with_several_accounts_disturbs_nobody() {
    let storm = Storm::start(&["--upstream-first-byte-timeout", "1", "--upstream-idle-timeout", "1"]);
    let words = provoked();
    for (word, script) in &words {
        storm.upstream.when(word, script.clone());
    }
    let accounts: Vec<String> = (0..3).map(|number| storm.server.user(&format!("mallory{number}"))).collect();
    let (ada, bob) = (storm.server.user("ada"), storm.server.user("bob"));
    let (is_over, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let honest = HonestUser::start(&storm.server, &ada);
    let (mut asked, mut slow) = (0, Vec::new());
    thread::scope(|scope| {
        for (number, account) in accounts.iter().chain(&accounts).enumerate() {
            let (storm, words, is_over, failed) = (&storm, &words, &is_over, &failed);
            scope.spawn(move || {
                for turn in number.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let model = if turn % 3 == 0 { "n" } else { "m" };
                    let code = storm.ask(account, model, words[turn % words.len()].0);
                    failed.fetch_add(usize::from(code >= 500), Ordering::Relaxed);
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds()) {
            let since = Instant::now();
            let code = storm.ask(&bob, "n", "an honest question");
            asked += 1;
            if code != 200 || since.elapsed() > require::patience(Duration::from_secs(1)) {
                slow.push((code, since.elapsed()));
            }
            thread::sleep(Duration::from_secs(1).saturating_sub(since.elapsed()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let honest = honest.stop();
    let failed = failed.load(Ordering::Relaxed);
    let figures =
        format!("{failed} calls made to fail by 3 accounts in {} s; {}", seconds(), honest.summary());
    report("failures that one person provokes", &figures);
    assert!(failed > 50, "only {failed} calls failed");
    honest.assert_undisturbed();
    assert!(
        slow.is_empty(),
        "{} of {asked} calls of the other model failed or were slow: {slow:?}",
        slow.len()
    );
    storm.close();
}

#[test]
fn two_greedy_users_leave_places_for_others() {
    let storm = Storm::start(&[]);
    storm.upstream.when("greedy", [head(), text("a"), Step::Hang]);
    let greedy = ["eve", "mallory"].map(|name| storm.server.user(name));
    let ada = storm.server.user("ada");
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.extend(greedy.iter().map(|token| storm.begin_stream(token, "greedy")));
    }
    wait::until("the places to be taken", PATIENCE, || (storm.upstream.requests().len() >= 40).then_some(()));
    let honest = HonestUser::start(&storm.server, &ada);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds()) {
        // The greedy users replace streams that were ended.
        let too_many = streams.len().saturating_sub(160);
        streams.drain(..too_many);
        streams.extend(greedy.iter().map(|token| storm.begin_stream(token, "greedy")));
        thread::sleep(Duration::from_millis(100));
    }
    let honest = honest.stop();
    // Calls that the server has ended do not count.
    let is_held = |request: &Request| request.is_open() && request.body.to_string().contains("greedy");
    let held = storm.upstream.requests().iter().filter(|request| is_held(request)).count();
    report("two users who hold calls open", &format!("{held} of 64 places held; {}", honest.summary()));
    assert!((40..64).contains(&held), "{held} calls");
    honest.assert_undisturbed();
    drop(streams);
    storm.close();
}

/// Returns answers of every known kind, each as large as an upstream can make it.
fn hostile() -> Vec<Vec<Step>> {
    let forever = |step: Step| match step {
        Step::Chunk(bytes) => Step::Forever(bytes.repeat(1 + 10_000 / bytes.len())),
        other => other,
    };
    let stream = |then: Step| vec![head(), text("a"), then];
    let large = "x".repeat(100_000);
    let call =
        |index: usize| json!({ "index": index, "id": "c", "function": { "name": "f", "arguments": "{}" } });
    let calls: Vec<Value> = (0..1000).map(call).collect();
    let objects = "{\"\":0},".repeat(4000) + "{}";
    let heavy = event(&format!(r#"{{"choices":[{{"delta":{{"content":"a","x":[{objects}]}}}}]}}"#));
    let probabilities: Vec<Value> =
        (0..300).map(|_| json!({ "token": "a", "logprob": -0.5, "bytes": [97] })).collect();
    let logprobs =
        json!({ "choices": [{ "delta": { "content": "a" }, "logprobs": { "content": probabilities } }] });
    let whole = |body: String| {
        let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        vec![Step::Raw(json.into()), Step::Chunk(body.into_bytes()), Step::End]
    };
    let good = |part: Step| {
        let parts = std::iter::repeat_n(part, 6);
        [head()].into_iter().chain(parts).chain([finish("stop"), usage(3, 2), done(), Step::End]).collect()
    };
    vec![
        stream(forever(event(&json!({ "choices": [], "x": large }).to_string()))),
        stream(forever(chunk(json!({ "role": large }), None))),
        stream(forever(chunk(json!({}), None))),
        stream(forever(chunk(json!({ "tool_calls": calls }), None))),
        stream(forever(heavy.clone())),
        stream(forever(chunk(json!({ "content": large }), None))),
        stream(forever(event(&logprobs.to_string()))),
        stream(Step::Forever(vec![b'x'; 8192])),
        stream(Step::Forever(b": comment\n".repeat(1000))),
        good(heavy),
        good(event(&logprobs.to_string())),
        good(chunk(json!({ "tool_calls": calls[..100] }), None)),
        whole(" ".repeat(8 << 20)),
        whole(format!(
            r#"{{"choices":[{{"message":{{"content":"a","x":[{}0]}}}}]}}"#,
            "0,".repeat(1_000_000)
        )),
        whole(format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "y".repeat(1_000_000))),
        whole(format!(r#"{{"choices":[{{"message":{{"x":{}}}}}]}}"#, "[".repeat(1_000_000))),
    ]
}

/// Four users make calls with such answers at once. Half of their clients do not read.
#[test]
fn answers_of_any_size_are_held_in_bounded_memory() {
    let storm = Storm::start(&["--upstream-default-output", "1024"]);
    let scripts = hostile();
    for (number, script) in scripts.iter().enumerate() {
        storm.upstream.when(&format!("hostile-{number}-"), script.clone());
    }
    let users = [0, 1, 2, 3].map(|number| storm.server.user(&format!("user{number}")));
    let ada = storm.server.user("ada");
    // A debug build beside other tests is too slow for more.
    let (calls, rounds) = if require::proofs() { (64, 6) } else { (scripts.len(), 1) };
    let memory = PeakMemory::watch(storm.server.pid());
    let honest = HonestUser::start(&storm.server, &ada);
    for _ in 0..rounds {
        thread::scope(|scope| {
            for number in 0..calls {
                let (storm, token) = (&storm, &users[number % users.len()]);
                let message = format!("hostile-{}-", number % scripts.len());
                scope.spawn(move || match number % 2 {
                    0 => drop(storm.ask(token, "m", &message)),
                    _ => {
                        let unread = storm.begin_stream(token, &message);
                        thread::sleep(Duration::from_secs(3));
                        drop(unread);
                    }
                });
            }
        });
    }
    let honest = honest.stop();
    let (peak, stored) = (memory.mb(), largest_row(&storm));
    let figures = format!(
        "{calls} calls at once, {rounds} times: {peak} MB at most, {stored} KB the largest row; {}",
        honest.summary()
    );
    report("hostile answers of an upstream", &figures);
    assert!(peak < MOST_MEMORY, "{peak} MB");
    assert!(stored < 1000, "{stored} KB are stored of one answer");
    honest.assert_undisturbed();
    storm.close();
}

/// Returns the size of the largest stored answer with its extras, in KB.
fn largest_row(storm: &Storm) -> i64 {
    let query = "SELECT CAST(max(coalesce(octet_length(response), 0) + coalesce(octet_length(answer_extras), 0)) / 1000
                             AS text) AS line FROM chats";
    let lines = crate::support::ledger::lines(
        &mut crate::support::ledger::raw(On::Sqlite, storm.database.url()),
        query,
    );
    lines[0].parse().unwrap()
}
