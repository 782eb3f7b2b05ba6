//! One fault of the upstream, tested in all ways to ask and at both prices.

use std::thread;

use tollgate::domain::FailureReason;

use super::ask::{Got, WAYS, Way};
use super::world::{Price, World};
use crate::support::On;
use crate::support::upstream::{Step, answer};

/// What the upstream does, and the expected outcome.
pub struct Fault {
    pub script: Vec<Step>,
    pub flags: &'static [&'static str],
    /// How many calls of the upstream one message causes.
    pub calls: usize,
    /// Whether Tollgate must close the connection.
    pub is_cancelled: bool,
    pub outcome: Outcome,
}

pub enum Outcome {
    Answered {
        text: String,
        /// If Tollgate counted, the prompt's is [`Way::counted_prompt`].
        usage: (i64, i64),
        /// Whether Tollgate counted, because the upstream did not.
        counted: bool,
    },
    Failed {
        status: u16,
        /// The error on `/chat/`, and on `/v1`.
        error: [&'static str; 2],
        reason: FailureReason,
        /// Whether a stream's head was sent before, so that the error is an event.
        has_begun: bool,
        /// The text that had arrived.
        text: String,
        /// With a price by usage, the tokens that are charged despite the failure. `None` for the
        /// prompt's: Tollgate counted them.
        settled: Option<(Option<i64>, i64)>,
    },
}

impl Fault {
    pub fn answered(script: Vec<Step>, text: &str, usage: (i64, i64), counted: bool) -> Fault {
        let outcome = Outcome::Answered { text: text.to_owned(), usage, counted };
        Fault { script, flags: &[], calls: 1, is_cancelled: false, outcome }
    }

    /// A failure that is reported as 502.
    pub fn failed(script: Vec<Step>, reason: FailureReason) -> Fault {
        let error = ["The message could not be answered", "responder_failed"];
        let outcome = Outcome::Failed {
            status: 502,
            error,
            reason,
            has_begun: false,
            text: String::new(),
            settled: None,
        };
        Fault { script, flags: &[], calls: 1, is_cancelled: false, outcome }
    }

    pub fn flags(self, flags: &'static [&'static str]) -> Fault {
        Fault { flags, ..self }
    }

    pub fn cancelled(self) -> Fault {
        Fault { is_cancelled: true, ..self }
    }

    pub fn called(self, calls: usize) -> Fault {
        Fault { calls, ..self }
    }

    /// The failure comes after this text.
    pub fn after(mut self, arrived: &str) -> Fault {
        if let Outcome::Failed { has_begun, text, .. } = &mut self.outcome {
            (*has_begun, *text) = (true, arrived.to_owned());
        }
        self
    }

    /// The upstream has worked on it: with a price by usage, this number of tokens is charged.
    pub fn settled(self, prompt_tokens: i64, completion_tokens: i64) -> Fault {
        self.paid(Some(prompt_tokens), completion_tokens)
    }

    /// Like [`Fault::settled`], by Tollgate's count of the prompt.
    pub fn settled_as_counted(self, completion_tokens: i64) -> Fault {
        self.paid(None, completion_tokens)
    }

    fn paid(mut self, prompt_tokens: Option<i64>, completion_tokens: i64) -> Fault {
        if let Outcome::Failed { settled, .. } = &mut self.outcome {
            *settled = Some((prompt_tokens, completion_tokens));
        }
        self
    }

    pub fn check(self, on: On) {
        let Some(world) = World::start(on, self.flags) else { return };
        for price in [Price::Message, Price::Usage] {
            self.check_at(&world, price);
            // A good answer in between, so that the breaker does not open.
            world.upstream.otherwise(answer("Good", 1, 1));
            let token = world.server.user(&format!("healer-{price:?}"));
            assert_eq!(Way::Chat.ask(world.server.address(), &token, None).status, 201);
        }
        world.close();
    }

    pub fn check_at(&self, world: &World, price: Price) {
        self.check_ways(world, price, &WAYS);
    }

    pub fn check_ways(&self, world: &World, price: Price, ways: &[Way]) {
        world.price(price);
        world.upstream.otherwise(self.script.clone());
        let before = world.upstream.requests().len();
        let name = |way: Way| format!("{way:?}-{price:?}");
        let users: Vec<_> = ways.iter().map(|way| (*way, world.server.user(&name(*way)))).collect();
        let address = world.server.address();
        let got: Vec<(Way, Got)> = thread::scope(|scope| {
            let asked =
                users.iter().map(|(way, token)| (*way, scope.spawn(|| way.ask(address, token, None))));
            let asked: Vec<_> = asked.collect();
            asked.into_iter().map(|(way, asked)| (way, asked.join().unwrap())).collect()
        });
        let calls = world.upstream.requests().len() - before;
        assert_eq!(calls, self.calls * ways.len());
        for (way, got) in got {
            self.check_user(world, way, price, &name(way), &got);
        }
        if self.is_cancelled {
            (before..before + calls).for_each(|request| world.wait_until_gone(request));
        }
    }

    fn check_user(&self, world: &World, way: Way, price: Price, user: &str, got: &Got) {
        let stored = world.ended(user);
        let context = format!("{user}: {got:?} {stored:?}");
        match &self.outcome {
            Outcome::Answered { text, usage: (prompt, completion), counted } => {
                let prompt = if *counted { way.counted_prompt() } else { *prompt };
                assert_eq!((got.status, got.error.as_deref()), (way.status(), None), "{context}");
                assert_eq!((&got.text, got.is_whole), (text, true), "{context}");
                let cost = price.cost(way, prompt, *completion);
                if way.says_cost() {
                    assert_eq!((got.charged, got.remaining), (Some(cost), Some(4000 - cost)), "{context}");
                }
                let usage = way.is_v1().then_some((prompt, *completion));
                assert_eq!(got.usage, usage, "{context}");
                assert_eq!(world.ledger(user), price.settled(way, prompt, *completion), "{context}");
                assert_eq!((stored.state.as_str(), &stored.response), ("complete", text), "{context}");
                let counted = if *counted { " counted" } else { "" };
                assert_eq!(stored.usage, format!("{prompt} {completion}{counted}"), "{context}");
            }
            Outcome::Failed { status, error, reason, has_begun, text, settled } => {
                let error = error[usize::from(way.is_v1())];
                let (status, arrived) = match way.is_stream() && *has_begun {
                    true => (200, text.as_str()),
                    false => (*status, ""),
                };
                assert_eq!((got.status, got.error.as_deref()), (status, Some(error)), "{context}");
                assert_eq!((got.text.as_str(), got.is_whole), (arrived, false), "{context}");
                let ledger = match (price, settled) {
                    (Price::Usage, Some((prompt, completion))) => {
                        price.settled(way, prompt.unwrap_or(way.counted_prompt()), *completion)
                    }
                    _ => price.refunded(way),
                };
                assert_eq!(world.ledger(user), ledger, "{context}");
                assert_eq!(
                    (stored.state.as_str(), stored.failure.as_str()),
                    ("failed", reason.code()),
                    "{context}"
                );
                let kept = if text.is_empty() { "-" } else { text };
                assert_eq!(stored.response, kept, "{context}");
            }
        }
    }
}
