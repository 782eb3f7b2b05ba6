//! Users who chat as fast as they get answers, each on a connection of their own. Afterwards the
//! books are checked: every acknowledged chat is stored, none twice, and the balance is what the
//! stored chats leave.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{Answer, Broken, Client};
use crate::support::server::Server;
use crate::support::wait;

/// An opening balance that no user can spend. [`RICH`] sets it.
pub const OPENING: i64 = 100_000_000;
pub const RICH: [&str; 2] = ["--opening-tokens", "100000000"];
const PRICE: i64 = 100;

/// A message and its outcome.
#[derive(Debug)]
pub struct Sent {
    pub token: String,
    pub message: String,
    pub key: String,
    pub outcome: Outcome,
    pub took: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 201, with the chat's id.
    Acknowledged(i64),
    /// Any other status.
    Refused(u16),
    /// No response, or an incomplete one.
    Broken(Broken),
}

/// Threads that send chats until they are stopped. Each ends at its first broken connection.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Sent>>>,
}

impl Load {
    /// Starts one thread per auth token. `label` keeps messages and keys apart from those of other
    /// loads.
    pub fn start(server: &Server, tokens: &[String], label: &str) -> Load {
        Load::start_at(server.address(), tokens, label)
    }

    pub fn start_at(address: SocketAddr, tokens: &[String], label: &str) -> Load {
        let mut load = Load {
            stop: Arc::default(),
            acknowledged: Arc::default(),
            refused: Arc::default(),
            threads: Vec::new(),
        };
        for (number, token) in tokens.iter().enumerate() {
            let user = Chatter {
                address,
                token: token.clone(),
                label: format!("{label}-user{number}"),
                stop: load.stop.clone(),
                acknowledged: load.acknowledged.clone(),
                refused: load.refused.clone(),
            };
            load.threads.push(std::thread::spawn(move || user.chat_until_stopped()));
        }
        load
    }

    /// Waits until `more` further chats have been acknowledged, or no user is left to send one.
    pub fn await_acknowledged(&self, more: u64) {
        self.await_more(&self.acknowledged, more, "acknowledged chats");
    }

    pub fn await_refused(&self, more: u64) {
        self.await_more(&self.refused, more, "refused chats");
    }

    fn await_more(&self, counter: &AtomicU64, more: u64, what: &str) {
        let goal = counter.load(Ordering::Relaxed) + more;
        wait::until(what, Duration::from_secs(60), || {
            let over = self.threads.iter().all(|thread| thread.is_finished());
            (over || counter.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Stops the threads and returns what was sent. If the server is gone, they have ended already.
    pub fn stop(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("a user's thread panicked")).collect()
    }
}

struct Chatter {
    address: SocketAddr,
    token: String,
    label: String,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Chatter {
    fn chat_until_stopped(&self) -> Vec<Sent> {
        let mut client = Client::new(self.address);
        let mut sent = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let message = format!("{}-message{}", self.label, sent.len());
            let key = format!("key-{message}");
            let started = Instant::now();
            let outcome = match send(&mut client, &self.token, &message, &key) {
                Ok(answer) if answer.status == 201 => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    Outcome::Acknowledged(chat_id(&answer))
                }
                Ok(answer) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    // A refused user waits a little before the next attempt.
                    std::thread::sleep(Duration::from_millis(20));
                    Outcome::Refused(answer.status)
                }
                Err(broken) => Outcome::Broken(broken),
            };
            let over = matches!(outcome, Outcome::Broken(_));
            sent.push(Sent { token: self.token.clone(), message, key, outcome, took: started.elapsed() });
            if over {
                break;
            }
        }
        sent
    }
}

/// Sends a chat message under an `Idempotency-Key`.
pub fn send(client: &mut Client, token: &str, message: &str, key: &str) -> Result<Answer, Broken> {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", authorization.as_str()),
        ("Idempotency-Key", key),
    ];
    client.send("POST", "/chat/", &headers, json!({"message": message}).to_string().as_bytes())
}

pub fn chat_id(answer: &Answer) -> i64 {
    let id = answer.header("X-Chat-Id").and_then(|id| id.parse().ok());
    id.unwrap_or_else(|| panic!("a chat without X-Chat-Id: {answer:?}"))
}

/// Registers and logs in `count` users whose names begin with `label`.
pub fn users(server: &Server, label: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| server.user(&format!("{label}{number}"))).collect()
}

/// Checks that every acknowledged chat is stored under its id, that no message is stored twice, and
/// that each balance is what the stored chats leave. Returns the number of stored chats.
pub fn assert_books(server: &Server, tokens: &[String], sent: &[Sent]) -> usize {
    let mut total = 0;
    for token in tokens {
        let history = server.history(token);
        let mut ids: HashMap<&str, i64> = HashMap::new();
        for chat in &history {
            assert!(ids.insert(&chat.message, chat.id).is_none(), "stored twice: {}", chat.message);
            assert_eq!(chat.state, "complete", "{}", chat.message);
        }
        for one in sent.iter().filter(|one| one.token == *token) {
            if let Outcome::Acknowledged(id) = one.outcome {
                assert_eq!(
                    ids.get(one.message.as_str()),
                    Some(&id),
                    "acknowledged but lost: {}",
                    one.message
                );
            }
        }
        assert_eq!(server.tokens(token), OPENING - PRICE * history.len() as i64);
        total += history.len();
    }
    total
}

/// Resends, under its old key, each message that got no 201. Checks that each is charged once,
/// whether it had been stored before or not. Returns how many had been stored without a response.
pub fn retry_unanswered(server: &Server, sent: &mut [Sent]) -> usize {
    let mut client = server.client();
    let mut replayed = 0;
    for one in sent.iter_mut().filter(|one| !matches!(one.outcome, Outcome::Acknowledged(_))) {
        let balance = server.tokens(&one.token);
        let answer = send(&mut client, &one.token, &one.message, &one.key).unwrap();
        assert_eq!(answer.status, 201, "{answer:?} to {}", one.message);
        let stored_before = answer.header("Idempotency-Replayed") == Some("true");
        replayed += usize::from(stored_before);
        let charged = if stored_before { 0 } else { PRICE };
        assert_eq!(server.tokens(&one.token), balance - charged, "{}", one.message);
        one.outcome = Outcome::Acknowledged(chat_id(&answer));
    }
    replayed
}
