//! What may happen next. Numbers pick among what is there by then, so that every sequence makes sense, also when
//! steps are left out of it.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Step {
    Register {
        tokens: i64,
    },
    /// With the name of somebody who is there.
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
        /// By usage: what it costs in the end, if true at all.
        cost: Option<i64>,
    },
    /// The client leaves amid the answer.
    Leave {
        chat: usize,
        cost: Option<i64>,
    },
    /// The client leaves before the answer begins.
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
    /// An administrator gives a hold up.
    Release {
        chat: usize,
    },
    /// An administrator gives back what an answered chat cost.
    GiveBack {
        chat: usize,
    },
    Adjust {
        user: usize,
        amount: i64,
    },
    /// The deadline of a hold passes, and the sweeper comes by.
    Sweep {
        chat: usize,
    },
    /// Something is done once more, as after a COMMIT whose outcome was unknown.
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

/// Also such as no usage should come to: they stay between nothing and what was taken.
fn cost() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![2 => Just(None), 4 => (0..320i64).prop_map(Some), 1 => Just(Some(0)), 1 => Just(Some(i64::MAX)), 1 => Just(Some(-7))]
}

fn chat() -> impl Strategy<Value = Step> {
    let price = prop_oneof![4 => Just(100), 1 => Just(0), 1 => 1..300i64];
    let key = prop_oneof![2 => Just(None), 3 => (0..4u8).prop_map(Some)];
    (0..1000usize, price, key, 0..2u8, proptest::bool::ANY)
        .prop_map(|(user, price, key, message, hold)| Step::Chat { user, price, key, message, hold })
}
