//! Users who chat continuously, and what each of them got in each second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::Client;

/// The pause between two chats of one user.
const PAUSE: Duration = Duration::from_millis(20);

/// One chat: when it was sent, how long its response took, and the status, if any.
#[derive(Clone, Copy, Debug)]
pub struct Chat {
    pub at: Duration,
    pub took: Duration,
    pub status: Option<u16>,
}

impl Chat {
    fn answered_at(&self) -> Duration {
        self.at + self.took
    }
}

pub struct Crowd {
    stop: Arc<AtomicBool>,
    begun: Instant,
    threads: Vec<JoinHandle<Vec<Chat>>>,
}

/// A user, and the server that gets the messages.
#[derive(Clone)]
pub struct Chatter {
    pub address: SocketAddr,
    pub token: String,
    /// The conversation that the chats belong to.
    pub conversation: Option<i64>,
}

impl Crowd {
    pub fn start(chatters: Vec<Chatter>) -> Crowd {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let chat_on = |chatter: Chatter| {
            let stop = stop.clone();
            std::thread::spawn(move || chat_until_stopped(&chatter, begun, &stop))
        };
        let threads = chatters.into_iter().map(chat_on).collect();
        Crowd { stop, begun, threads }
    }

    /// Starts these users at one address.
    pub fn at(address: SocketAddr, tokens: &[String]) -> Crowd {
        let chatter = |token: &String| Chatter { address, token: token.clone(), conversation: None };
        Crowd::start(tokens.iter().map(chatter).collect())
    }

    /// Returns the time on the crowd's clock.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Lets the users chat for this time.
    pub fn run_for(&self, span: Duration) {
        std::thread::sleep(span);
    }

    /// Ends the chats. Returns each user's results.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        Seen(
            self.threads.into_iter().map(|thread| thread.join().expect("a user's thread panicked")).collect(),
        )
    }
}

fn chat_until_stopped(chatter: &Chatter, begun: Instant, stop: &AtomicBool) -> Vec<Chat> {
    let mut client = Client::new(chatter.address);
    let mut chats = Vec::new();
    let mut body = json!({ "message": "Hello" });
    if let Some(conversation) = chatter.conversation {
        body["conversation_id"] = Value::from(conversation);
    }
    while !stop.load(Ordering::Relaxed) {
        let (at, sent) = (begun.elapsed(), Instant::now());
        let status = client.post("/chat/", Some(&chatter.token), &body).map(|answer| answer.status).ok();
        chats.push(Chat { at, took: sent.elapsed(), status });
        std::thread::sleep(PAUSE);
    }
    chats
}

/// The chats of each user, in the order of the users.
pub struct Seen(pub Vec<Vec<Chat>>);

impl Seen {
    /// Returns the number of these users' chats with a 201 in each second from `from` to `to`.
    pub fn per_second(&self, users: &[usize], from: Duration, to: Duration) -> Vec<usize> {
        let seconds = (to - from).as_secs() as usize;
        let mut counts = vec![0; seconds];
        for chat in users.iter().flat_map(|user| &self.0[*user]) {
            let second = chat.answered_at().checked_sub(from).map(|since| since.as_secs() as usize);
            if chat.status == Some(201)
                && let Some(count) = second.and_then(|second| counts.get_mut(second))
            {
                *count += 1;
            }
        }
        counts
    }

    /// Returns the longest time between `from` and `to` in which one of these users did not get a
    /// 201.
    pub fn longest_gap(&self, users: &[usize], from: Duration, to: Duration) -> Duration {
        let gap_of = |user: &usize| {
            let done = self.0[*user].iter().filter(|chat| chat.status == Some(201)).map(Chat::answered_at);
            let mut last = from;
            let mut longest = Duration::ZERO;
            for at in done.filter(|at| (from..to).contains(at)).chain([to]) {
                longest = longest.max(at - last);
                last = at;
            }
            longest
        };
        users.iter().map(gap_of).max().unwrap_or_default()
    }

    /// Returns the longest wait for any response.
    pub fn slowest(&self) -> Duration {
        self.0.iter().flatten().map(|chat| chat.took).max().unwrap_or_default()
    }

    /// Returns the number of a user's chats with this status.
    pub fn count(&self, user: usize, status: u16) -> usize {
        self.0[user].iter().filter(|chat| chat.status == Some(status)).count()
    }

    /// Checks that no request was broken off.
    #[track_caller]
    pub fn assert_unbroken(&self) {
        let broken = self.0.iter().flatten().filter(|chat| chat.status.is_none()).count();
        assert_eq!(broken, 0, "requests without an answer");
    }
}

/// Formats the counts as a row of figures.
pub fn row(counts: &[usize]) -> String {
    counts.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}
