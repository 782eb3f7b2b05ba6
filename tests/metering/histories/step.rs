//! The steps of a history. Numbers choose among what exists at that point, so that every sequence
//! is valid, even if steps are removed from it.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Step {
    Register {
        tokens: i64,
    },
    /// With the name of an existing user.
    RegisterAgain {
        user: usize,
    },
    Chat {
        user: usize,
        price: i64,
        key: Option<u8>,
        message: u8,
        hold: bool,
    },
    Settle {
        chat: usize,
        /// The cost by usage, which may be out of range.
        cost: Option<i64>,
    },
    /// The client disconnects mid-answer.
    Leave {
        chat: usize,
        cost: Option<i64>,
    },
    /// The client disconnects before the answer begins.
    LeaveEarly {
        chat: usize,
    },
    /// The time limit expires mid-answer.
    TimeOut {
        chat: usize,
        cost: Option<i64>,
    },
    Refund {
        chat: usize,
    },
    /// An administrator releases a hold.
    Release {
        chat: usize,
    },
    /// An administrator refunds an answered chat.
    GiveBack {
        chat: usize,
    },
    Adjust {
        user: usize,
        amount: i64,
    },
    /// The deadline of a hold passes, and the sweeper runs.
    Sweep {
        chat: usize,
    },
    /// An operation is repeated, as after a COMMIT with an unknown outcome.
    Repeat {
        operation: usize,
    },
    Revoke {
        user: usize,
    },
}

pub fn any() -> impl Strategy<Value = Step> {
    let place = || 0..1000usize;
    prop_oneof![
        1 => prop_oneof![Just(0), Just(4000), 1..500i64].prop_map(|tokens| Step::Register { tokens }),
        1 => place().prop_map(|user| Step::RegisterAgain { user }),
        8 => chat(),
        4 => (place(), cost()).prop_map(|(chat, cost)| Step::Settle { chat, cost }),
        2 => (place(), cost()).prop_map(|(chat, cost)| Step::Leave { chat, cost }),
        2 => place().prop_map(|chat| Step::LeaveEarly { chat }),
        2 => (place(), cost()).prop_map(|(chat, cost)| Step::TimeOut { chat, cost }),
        3 => place().prop_map(|chat| Step::Refund { chat }),
        1 => place().prop_map(|chat| Step::Release { chat }),
        2 => place().prop_map(|chat| Step::GiveBack { chat }),
        2 => (place(), -600..600i64).prop_map(|(user, amount)| Step::Adjust {
            user,
            amount: if amount == 0 { 1 } else { amount },
        }),
        1 => place().prop_map(|chat| Step::Sweep { chat }),
        4 => place().prop_map(|operation| Step::Repeat { operation }),
        1 => (0..3000usize).prop_map(|user| Step::Revoke { user }),
    ]
}

/// Costs, some of them out of range: those are limited to between 0 and the charge.
fn cost() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![2 => Just(None), 4 => (0..320i64).prop_map(Some), 1 => Just(Some(0)), 1 => Just(Some(i64::MAX)), 1 => Just(Some(-7))]
}

fn chat() -> impl Strategy<Value = Step> {
    let price = prop_oneof![4 => Just(100), 1 => Just(0), 1 => 1..300i64];
    let key = prop_oneof![2 => Just(None), 3 => (0..4u8).prop_map(Some)];
    (0..1000usize, price, key, 0..2u8, proptest::bool::ANY)
        .prop_map(|(user, price, key, message, hold)| Step::Chat { user, price, key, message, hold })
}
