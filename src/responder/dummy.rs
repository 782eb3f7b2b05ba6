//! The built-in dummy model: `Response to <message>`. It can be made slow, or made to fail, so that
//! people can test their own error handling. Then its chats go through a hold, as those of an
//! upstream do.

use std::time::Duration;

use rand::RngExt;

use super::Failure;

/// How much longer than its own delay an answer may take.
const MARGIN: Duration = Duration::from_secs(10);

/// The settings of the dummy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dummy {
    /// How long it takes to answer.
    pub delay: Duration,
    /// The percentage of messages that it fails to answer, at random.
    pub failures_percent: u8,
}

impl Dummy {
    /// Returns whether it answers without waiting.
    pub(super) fn is_instant(&self) -> bool {
        self.delay.is_zero() && self.failures_percent == 0
    }

    /// Returns the answer if there is no delay and no failure.
    pub(super) fn answer_at_once(&self, message: &str) -> Option<String> {
        self.is_instant().then(|| text(message))
    }

    /// Answers after the delay, or fails.
    pub(super) async fn answer(&self, message: &str) -> Result<String, Failure> {
        tokio::time::sleep(self.delay).await;
        let fails = rand::rng().random_range(0..100) < self.failures_percent;
        if fails { Err(Failure::DummyFailed) } else { Ok(text(message)) }
    }

    /// Returns the time limit for an answer.
    pub(super) fn time_limit(&self) -> Duration {
        self.delay + MARGIN
    }
}

fn text(message: &str) -> String {
    format!("Response to {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quick_and_reliable_dummy_answers_at_once() {
        let quick = Dummy::default();
        assert_eq!(quick.answer_at_once("hi").as_deref(), Some("Response to hi"));
        assert_eq!(Dummy { delay: Duration::from_millis(1), ..quick }.answer_at_once("hi"), None);
        assert_eq!(Dummy { failures_percent: 1, ..quick }.answer_at_once("hi"), None);
    }
}
