//! Everything that happens in the sample data, and when. It depends on the seed and the settings
//! only, and not on what the database answers.

use chrono::{NaiveDateTime, TimeDelta};

use super::dice::Dice;
use super::languages::Talk;
use crate::administration::BulkKind;
use crate::domain::{Endpoint, FailureReason};
use crate::models::UserLimits;

/// How many days ago the service began.
pub(super) const DAYS: i64 = 90;

/// How an invented user uses the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Many messages each day.
    Busy,
    /// Some messages a week.
    Regular,
    /// A few messages in all.
    Rare,
    /// Has never sent a message.
    Silent,
    /// Spends the last tokens today.
    Broke,
    /// Has tokens for two more messages.
    Low,
    /// Has no tokens, and has sent nothing lately.
    Empty,
}

impl Habit {
    /// Returns whether the balance is to be low at the end.
    pub(super) fn is_low(self) -> bool {
        matches!(self, Habit::Broke | Habit::Low | Habit::Empty)
    }
}

/// An invented user.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub name: &'static str,
    pub habit: Habit,
    pub joined: NaiveDateTime,
    /// Whether the person buys tokens when the balance is too low.
    pub pays: bool,
}

/// How a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed(FailureReason),
    /// The client disconnects in the middle of the answer.
    CutOff,
    /// The client disconnects before the answer.
    LeftEarly,
    /// Nobody answers it: its hold stays open.
    Open,
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub at: NaiveDateTime,
    /// The sender's place among the people.
    pub person: usize,
    pub talk: Talk,
    /// The place of its model among the models.
    pub model: usize,
    pub endpoint: Endpoint,
    pub outcome: Outcome,
    /// The number of its conversation, if it belongs to one.
    pub conversation: Option<usize>,
    /// How many messages of the conversation come before it.
    pub turn: i64,
    /// The time to the first part of its answer.
    pub first_byte: TimeDelta,
}

/// What happens to a named auth token after it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenUse {
    /// Its owner uses it.
    Used,
    Never,
    /// Its owner uses it, and revokes it this much later.
    RevokedAfter(TimeDelta),
}

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The administrators get their accounts, and the models their prices.
    Begin,
    /// A person registers.
    Register(usize),
    /// A person logs in over the API.
    LogIn(usize),
    /// A person makes a named auth token. It may expire after some days.
    MakeToken { person: usize, name: &'static str, days: Option<i64>, then: TokenUse },
    /// A person revokes the latest named auth token.
    RevokeOwnToken(usize),
    /// The message with this number is sent.
    Send(usize),
    /// The answer to the message with this number ends.
    End(usize),
    /// An administrator does something. The first number is the place in the team.
    Act(usize, Deed),
    /// The uses of auth tokens are noted, and the person with the printed auth token gets it.
    Finish,
}

/// What an administrator does. `person` is a place among the people, and amounts are in tokens.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    SignIn,
    /// Somebody enters the wrong password for this administrator.
    FailToSignIn,
    Adjust {
        person: usize,
        tokens: i64,
        reason: &'static str,
        /// Identifies the adjustment, so that it can be undone.
        number: i64,
    },
    /// Undoes the adjustment with a number, which had this reason.
    UndoAdjustment {
        number: i64,
        reason: &'static str,
    },
    /// Takes tokens away, until this many are left.
    LeaveOnly {
        person: usize,
        tokens: i64,
        reason: &'static str,
    },
    Refund {
        message: usize,
        reason: &'static str,
    },
    Release {
        message: usize,
        reason: &'static str,
    },
    SetLimits {
        person: usize,
        limits: UserLimits,
    },
    SetActive {
        person: usize,
        is_active: bool,
        reason: &'static str,
    },
    LogOut {
        person: usize,
        reason: &'static str,
    },
    /// Revokes the person's latest named auth token.
    RevokeToken {
        person: usize,
        reason: &'static str,
    },
    InBulk {
        kind: BulkKind,
        people: Vec<usize>,
        reason: &'static str,
    },
}

/// All that happens.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Those who join first come first.
    pub people: Vec<Person>,
    pub messages: Vec<Message>,
    /// In the order of their times.
    pub steps: Vec<(NaiveDateTime, Step)>,
}

/// A plan that is being made.
pub(super) struct Draft {
    pub dice: Dice,
    pub now: NaiveDateTime,
    /// What a message costs, in tokens, and at least 1.
    pub price: i64,
    /// The number of models.
    pub models: usize,
    /// Whether the first model is the dummy, which answers at once.
    pub has_dummy: bool,
    pub plan: Plan,
    conversations: usize,
}

impl Draft {
    pub(super) fn new(seed: u64, now: NaiveDateTime, price: i64, models: usize, has_dummy: bool) -> Draft {
        let (dice, price, plan) = (Dice::new(seed), price.max(1), Plan::default());
        Draft { dice, now, price, models, has_dummy, plan, conversations: 0 }
    }

    /// Returns the time that was `minutes` ago.
    pub(super) fn ago(&self, minutes: i64) -> NaiveDateTime {
        self.now - TimeDelta::minutes(minutes)
    }

    /// Returns a random time from `minutes` ago to `spread` minutes before that.
    pub(super) fn around(&mut self, minutes: i64, spread: i64) -> NaiveDateTime {
        let minutes = minutes + self.dice.below(spread);
        self.ago(minutes)
    }

    /// Adds a step.
    pub(super) fn at(&mut self, time: NaiveDateTime, step: Step) {
        self.plan.steps.push((time, step));
    }

    /// Adds what an administrator does.
    pub(super) fn act(&mut self, time: NaiveDateTime, by: usize, deed: Deed) {
        self.at(time, Step::Act(by, deed));
    }

    /// Returns the number of a new conversation.
    pub(super) fn new_conversation(&mut self) -> usize {
        self.conversations += 1;
        self.conversations
    }

    /// Ends the plan: its steps are put into the order of their times.
    pub(super) fn finish(mut self) -> Plan {
        self.at(self.now, Step::Finish);
        // It keeps the order of steps at the same time.
        self.plan.steps.sort_by_key(|(time, _)| *time);
        self.plan
    }
}
