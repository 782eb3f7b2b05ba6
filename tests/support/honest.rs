//! An honest user during a storm, who sends a chat each second and times the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::http::Client;
use super::require::patience;
use super::server::Server;

/// The time between two chats.
const EVERY: Duration = Duration::from_secs(1);
/// The time in which a chat must be answered if nothing else uses the machine.
const PROMPT: Duration = Duration::from_secs(1);
/// The percentage of chats that must be answered in this time.
const SHARE: usize = 99;

/// A user who chats until the storm is over.
pub struct HonestUser {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Attempt>>,
}

/// The outcome of one chat.
#[derive(Debug)]
struct Attempt {
    /// The status, or the reason why there is none.
    outcome: Result<u16, String>,
    took: Duration,
}

impl Attempt {
    fn is_prompt(&self) -> bool {
        self.outcome == Ok(201) && self.took <= patience(PROMPT)
    }
}

/// The results of the honest user.
#[derive(Debug)]
pub struct Report {
    attempts: Vec<Attempt>,
}

impl HonestUser {
    pub fn start(server: &Server, token: &str) -> HonestUser {
        HonestUser::start_with(server.client(), token)
    }

    fn start_with(client: Client, token: &str) -> HonestUser {
        let (stop, token) = (Arc::new(AtomicBool::new(false)), token.to_owned());
        let should_stop = stop.clone();
        let thread = std::thread::spawn(move || chat_until_stopped(client, &token, &should_stop));
        HonestUser { stop, thread }
    }

    /// Stops chatting. Returns the results.
    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        Report { attempts: self.thread.join().expect("the honest user panicked") }
    }
}

fn chat_until_stopped(mut client: Client, token: &str, should_stop: &AtomicBool) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let begun = Instant::now();
    while !should_stop.load(Ordering::Relaxed) {
        // Due times are fixed in advance, so that a slow response does not reduce the load.
        let due = begun + EVERY * u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let message = format!("honest message {}", attempts.len());
        let answer = client.post("/chat/", Some(token), &json!({ "message": message }));
        let took = Instant::now().saturating_duration_since(due);
        attempts.push(Attempt { outcome: answer.map(|a| a.status).map_err(|e| e.to_string()), took });
    }
    attempts
}

impl Report {
    pub fn sent(&self) -> usize {
        self.attempts.len()
    }

    /// Returns the number of chats with a 201 in time.
    pub fn prompt(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.is_prompt()).count()
    }

    pub fn slowest(&self) -> Duration {
        self.attempts.iter().map(|attempt| attempt.took).max().unwrap_or_default()
    }

    /// Fails unless 99 of 100 chats were answered in time.
    #[track_caller]
    pub fn assert_undisturbed(&self) {
        let late: Vec<_> = self.attempts.iter().filter(|attempt| !attempt.is_prompt()).collect();
        assert!(self.sent() > 0, "the honest user has sent nothing");
        let is_enough = self.prompt() * 100 >= self.sent() * SHARE;
        assert!(is_enough, "{} of {} chats were disturbed: {late:?}", late.len(), self.sent());
    }

    /// Returns a summary for the figures of a storm.
    pub fn summary(&self) -> String {
        let slowest = self.slowest().as_millis();
        let limit = patience(PROMPT).as_secs();
        format!("honest user: {} of {} within {limit} s, slowest {slowest} ms", self.prompt(), self.sent())
    }
}
