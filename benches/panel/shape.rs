//! The content of the database: two years of a service with one very busy user, a few
//! administrators, and many users who write now and then. Everything is computed from the numbers
//! of rows, so that each table can be filled independently.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, TimeDelta, Timelike};

/// Users 1 to this id are administrators. The first three do nearly everything.
pub const ADMINISTRATORS: i64 = 25;
/// This user sends a twentieth of all chats.
pub const HEAVY: i64 = 30;
const PRICE: i64 = 100;
const OPENING: i64 = 4000;

/// The size of the database, and the time of its last row.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub users: i64,
    pub chats: i64,
    pub end: NaiveDateTime,
}

/// Returns a number that looks random, but is always the same for the same `purpose` and `n`.
pub fn mix(purpose: u64, n: i64) -> u64 {
    let mut z = (n as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(purpose.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Like [`mix`], but returns a number from 0 to 1.
pub fn unit(purpose: u64, n: i64) -> f64 {
    (mix(purpose, n) >> 11) as f64 / (1u64 << 53) as f64
}

#[derive(Clone, Copy, Debug)]
pub struct Chat {
    pub id: i64,
    pub user_id: i64,
    pub at: NaiveDateTime,
    pub state: &'static str,
    pub model: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub id: i64,
    pub user_id: i64,
    pub at: NaiveDateTime,
    pub kind: &'static str,
    pub amount: i64,
    pub balance_after: i64,
    pub chat_id: Option<i64>,
    pub actor_id: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    Chat(Chat),
    Entry(Entry),
}

/// The state at the end of [`Shape::play`].
pub struct Outcome {
    /// By user id.
    pub balances: Vec<i64>,
    pub last_entry: i64,
    /// Count and sum by quarter of an hour and kind, as the follower stores them.
    pub quarters: BTreeMap<(NaiveDateTime, &'static str), (i64, i64)>,
}

struct Ledger<'a> {
    outcome: Outcome,
    tell: &'a mut dyn FnMut(Event),
}

impl Ledger<'_> {
    fn enter(
        &mut self,
        user: i64,
        at: NaiveDateTime,
        kind: &'static str,
        amount: i64,
        chat: Option<i64>,
        actor: Option<i64>,
    ) {
        let balance = &mut self.outcome.balances[user as usize];
        *balance += amount;
        let balance_after = *balance;
        self.outcome.last_entry += 1;
        let entry = Entry {
            id: self.outcome.last_entry,
            user_id: user,
            at,
            kind,
            amount,
            balance_after,
            chat_id: chat,
            actor_id: actor,
        };
        self.add(at, kind, amount);
        if kind == "adjustment" {
            self.add(at, "granted", amount);
        }
        (self.tell)(Event::Entry(entry));
    }

    fn add(&mut self, at: NaiveDateTime, kind: &'static str, amount: i64) {
        let quarter = at
            .with_nanosecond(0)
            .and_then(|at| at.with_second(0))
            .and_then(|at| at.with_minute(at.minute() / 15 * 15));
        let sum = self.outcome.quarters.entry((quarter.unwrap_or(at), kind)).or_default();
        *sum = (sum.0 + 1, sum.1 + amount);
    }
}

impl Shape {
    pub fn start(&self) -> NaiveDateTime {
        self.end - TimeDelta::days(730)
    }

    /// Returns the id of a user with only three chats.
    pub fn few(&self) -> i64 {
        self.users / 2
    }

    /// Returns the time at which `part` of `whole` events have happened.
    pub fn moment(&self, part: i64, whole: i64) -> NaiveDateTime {
        let span = (self.end - self.start()).num_milliseconds() as i128;
        self.start() + TimeDelta::milliseconds((span * i128::from(part) / i128::from(whole)) as i64)
    }

    /// Returns when a user joined. Ids ascend with time. A fifth of the users joined before the
    /// start.
    pub fn joined_at(&self, user: i64) -> NaiveDateTime {
        let early = self.users / 5;
        if user <= early {
            return self.start() - TimeDelta::milliseconds((early - user) * 100);
        }
        self.moment(user - early, self.users - early)
    }

    /// Returns the number of users who have joined by the time of a chat.
    fn joined_with(&self, chat: i64) -> i64 {
        let early = self.users / 5;
        early + (i128::from(self.users - early) * i128::from(chat) / i128::from(self.chats)) as i64
    }

    /// Passes all events to `tell`, in the order of time and ids.
    pub fn play(&self, tell: &mut dyn FnMut(Event)) -> Outcome {
        let balances = vec![0; self.users as usize + 1];
        let mut ledger =
            Ledger { outcome: Outcome { balances, last_entry: 0, quarters: BTreeMap::new() }, tell };
        let mut joined = 0;
        for id in 1..=self.chats {
            while joined < self.joined_with(id) {
                joined += 1;
                ledger.enter(joined, self.joined_at(joined), "opening", OPENING, None, None);
            }
            self.chat(&mut ledger, id, joined);
        }
        ledger.outcome
    }

    fn chat(&self, ledger: &mut Ledger<'_>, id: i64, joined: i64) {
        let at = self.moment(id, self.chats);
        let user_id = self.payer(ledger, id, joined);
        if ledger.outcome.balances[user_id as usize] < PRICE {
            let amount = if user_id == HEAVY { 1_000_000 } else { 5_000 };
            let actor = 1 + (mix(1, id) % 3) as i64;
            ledger.enter(user_id, at, "adjustment", amount, None, Some(actor));
        }
        let chance = mix(2, id) % 1000;
        let is_new = id > self.chats - self.chats / 100;
        let state = match chance {
            0..20 if is_new => "pending",
            0..5 => "failed",
            5..7 => "cancelled",
            _ => "complete",
        };
        let model = match mix(3, id) % 1000 {
            _ if id % (self.chats / 20) == 17 => "tiny-rare-1b",
            0..700 => "dummy",
            700..900 => "llama-3.1-70b",
            _ => "mistral-small",
        };
        (ledger.tell)(Event::Chat(Chat { id, user_id, at, state, model }));
        ledger.enter(user_id, at, "charge", -PRICE, Some(id), None);
        if state == "complete" && model == "llama-3.1-70b" && chance > 900 {
            ledger.enter(user_id, at, "settlement", 30, Some(id), None);
        }
        if state == "failed" {
            ledger.enter(user_id, at, "refund", PRICE, Some(id), None);
        }
        if state == "failed" || state == "cancelled" {
            ledger.add(at, state, 0);
        }
    }

    /// Chooses the user who pays for a chat. Old users send more than new ones. One in ten users
    /// gets no more tokens when the balance is used up.
    fn payer(&self, ledger: &Ledger<'_>, id: i64, joined: i64) -> i64 {
        if [7, 8, 9].iter().any(|tenth| id == self.chats / 10 * tenth) {
            return self.few();
        }
        for attempt in 0..3 {
            if mix(4 + attempt, id).is_multiple_of(20) {
                return HEAVY;
            }
            let place = unit(10 + attempt, id);
            let user = HEAVY + 1 + ((joined - HEAVY - 1) as f64 * place * place) as i64;
            let is_poor = ledger.outcome.balances[user as usize] < PRICE && mix(20, user).is_multiple_of(10);
            if user != self.few() && !is_poor {
                return user;
            }
        }
        HEAVY
    }
}
