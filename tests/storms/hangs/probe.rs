//! Polls `/readyz`, as a load balancer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::http::Client;
use crate::support::require::patience;
use crate::support::server::Server;

/// The longest time for `/readyz`: 2 s, and a little more for debug builds.
const IN_TIME: Duration = Duration::from_millis(2500);

pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Probed>>,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Probed {
    pub took: Duration,
    pub status: u16,
    /// The fixed word of a 503.
    pub reason: Option<String>,
}

pub struct Answers(pub Vec<Probed>);

pub fn ask(client: &mut Client) -> Probed {
    let asked = Instant::now();
    let answer = client.send("GET", "/readyz", &[], b"").unwrap();
    let reason = answer.json()["reason"].as_str().map(str::to_owned);
    Probed { took: asked.elapsed(), status: answer.status, reason }
}

impl Probe {
    pub fn start(server: &Server) -> Probe {
        let (stop, mut client) = (Arc::new(AtomicBool::new(false)), server.client());
        let should_stop = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !should_stop.load(Ordering::Relaxed) {
                answers.push(ask(&mut client));
                std::thread::sleep(Duration::from_millis(100));
            }
            answers
        });
        Probe { stop, thread }
    }

    pub fn stop(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        Answers(self.thread.join().expect("the probe panicked"))
    }
}

impl Answers {
    /// Checks that each response came in time.
    #[track_caller]
    pub fn assert_in_time(&self) {
        let late: Vec<_> = self.0.iter().filter(|probed| probed.took > patience(IN_TIME)).collect();
        assert!(late.is_empty() && !self.0.is_empty(), "{late:?}");
    }
}
