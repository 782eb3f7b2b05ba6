//! Users whose large prompts hold memory, by a slow upload or a slow upstream. Others can still
//! send large prompts.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::storm::{Storm, size};
use crate::support::http::Client;
use crate::support::server::Server;
use crate::support::upstream::{ScriptedUpstream, Step, head, text};

/// The longest time for the other user's large prompt. (A debug build parses slowly.)
const ANSWER: Duration = Duration::from_secs(12);

/// Returns the size of each prompt. The short storm has smaller prompts and a smaller budget.
fn kibibytes() -> usize {
    size(7 * 1024, 1200)
}

fn begin(upstream: &ScriptedUpstream) -> Option<Storm> {
    let (url, budget) = (upstream.url(), size(96, 16).to_string());
    let flags = [
        "--responder",
        "openai",
        "--upstream-url",
        &url,
        "--upstream-models",
        "m",
        "--memory-budget",
        &budget,
    ];
    Storm::begin(&flags)
}

fn prompt(question: &str) -> Value {
    let earlier = "x".repeat(kibibytes() * 1024);
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let messages = [turn("user", &earlier), turn("assistant", "ok"), turn("user", question)];
    json!({ "model": "m", "messages": messages })
}

/// Sends large prompts, one after the other. Returns the status of each, and the longest wait.
fn ask_in_turn(server: &Server, token: &str, count: usize) -> (Vec<u16>, Duration) {
    let (mut client, prompt) = (server.client(), prompt("an honest question"));
    let mut slowest = Duration::ZERO;
    let statuses = (0..count).map(|_| {
        let begun = Instant::now();
        let status = client.post("/v1/chat/completions", Some(token), &prompt).unwrap().status;
        slowest = slowest.max(begun.elapsed());
        status
    });
    (statuses.collect(), slowest)
}

/// One user gets at most a quarter of the budget.
#[test]
fn large_prompts_of_one_user_held_by_a_hanging_upstream_leave_memory_for_others() {
    let upstream = ScriptedUpstream::start();
    upstream.when("held", [head(), text("a"), Step::Hang]);
    let Some(storm) = begin(&upstream) else { return };
    let (greedy, other) = (storm.server.user("greedy"), storm.server.user("other"));
    let held = prompt("held");
    let (address, count) = (storm.server.address(), 6);
    let (greedys, (statuses, slowest)) = thread::scope(|threads| {
        let senders: Vec<_> = (0..count)
            .map(|_| {
                threads.spawn(|| {
                    let mut client = Client::new(address);
                    // The client times out if the prompt is held, which is what the user wants.
                    client.post("/v1/chat/completions", Some(&greedy), &held).ok().map(|answer| answer.status)
                })
            })
            .collect();
        let asked = ask_in_turn(&storm.server, &other, size(12, 4));
        let greedys: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        (greedys, asked)
    });
    let rejected = greedys.iter().filter(|status| **status == Some(429)).count();
    assert!(rejected > 0, "one user held all the memory: {greedys:?}");
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(slowest < ANSWER, "{slowest:?}");
    storm.end(
        "large prompts that one user leaves open",
        &format!(
            "{count} of {} KiB, {rejected} rejected; another user's: {} of {} answered, slowest {} ms",
            kibibytes(),
            statuses.len(),
            statuses.len(),
            slowest.as_millis()
        ),
    );
}

/// Begins an upload and stops in the middle of it.
fn begin_upload(server: &Server, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = kibibytes() * 1024;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server may reject it at any point.
    let _ = stream.write_all(&vec![b' '; length / 4 * 3]);
    stream
}

/// Unfinished uploads of several accounts fill the budget. They are cut when others need the
/// memory.
#[test]
fn uploads_that_stop_half_way_leave_memory_for_others() {
    let upstream = ScriptedUpstream::start();
    let Some(storm) = begin(&upstream) else { return };
    let accounts: Vec<String> = (0..4).map(|number| storm.server.user(&format!("slow{number}"))).collect();
    let other = storm.server.user("other");
    let count = size(64, 32);
    let uploads: Vec<TcpStream> =
        (0..count).map(|number| begin_upload(&storm.server, &accounts[number % accounts.len()])).collect();
    let (statuses, slowest) = ask_in_turn(&storm.server, &other, size(12, 4));
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(slowest < ANSWER, "{slowest:?}");
    drop(uploads);
    storm.end(
        "uploads that stop half-way",
        &format!(
            "{count} of {} KiB by {} accounts; another user's large prompts: {} of {} answered, slowest {} ms",
            kibibytes(),
            accounts.len(),
            statuses.len(),
            statuses.len(),
            slowest.as_millis()
        ),
    );
}
