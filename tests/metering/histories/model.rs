//! The model: what should be true, in plain arithmetic, without a database.

use std::collections::HashMap;

use tollgate::metering::Refunded;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Complete,
    Failed,
    /// The client disconnected.
    Cancelled,
}

#[derive(Clone, Debug)]
pub struct ModelChat {
    pub user: usize,
    /// What was charged at first.
    pub price: i64,
    /// What it costs so far.
    pub cost: i64,
    pub message: u8,
    pub state: State,
    pub response: Option<String>,
    /// Whether its cost was returned: it failed, its client disconnected early, or an administrator
    /// refunded it.
    pub is_refunded: bool,
}

#[derive(Clone, Debug, Default)]
pub struct ModelUser {
    pub revoked: bool,
    pub balance: i64,
    /// Kind, amount and balance after it.
    pub entries: Vec<(&'static str, i64, i64)>,
    /// Which chat a key stands for.
    pub keys: HashMap<u8, usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub users: Vec<ModelUser>,
    pub chats: Vec<ModelChat>,
}

/// The expected verdict on a charge. A chat is named by its place in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Charged { chat: usize, balance: i64 },
    Unauthorized,
    Insufficient { balance: i64 },
    Replay { chat: usize, balance: i64 },
    InFlight,
    KeyReused,
}

/// The expected outcome when a hold ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedEnd {
    Now { balance: i64 },
    AlreadyRefunded,
    AlreadyComplete,
}

impl Model {
    pub fn register(&mut self, tokens: i64) {
        self.users.push(ModelUser::default());
        self.enter(self.users.len() - 1, "opening", tokens);
    }

    pub fn chat(&mut self, user: usize, price: i64, key: Option<u8>, message: u8, hold: bool) -> Expected {
        let payer = &self.users[user];
        let balance = payer.balance;
        if payer.revoked {
            return Expected::Unauthorized;
        }
        if let Some(&chat) = key.and_then(|key| payer.keys.get(&key)) {
            return match &self.chats[chat] {
                seen if seen.message != message => Expected::KeyReused,
                seen if seen.state == State::Pending => Expected::InFlight,
                _ => Expected::Replay { chat, balance },
            };
        }
        if balance < price {
            return Expected::Insufficient { balance };
        }
        let chat = self.chats.len();
        let (state, response) = if hold {
            (State::Pending, None)
        } else {
            (State::Complete, Some(format!("Response to {message}")))
        };
        let cost = price;
        self.chats.push(ModelChat { user, price, cost, message, state, response, is_refunded: false });
        if let Some(key) = key {
            self.users[user].keys.insert(key, chat);
        }
        Expected::Charged { chat, balance: self.enter(user, "charge", -price) }
    }

    /// Ends an answer that is complete, or whose client disconnected. `cost` is the cost by usage,
    /// if the price is one by usage.
    pub fn settle(&mut self, chat: usize, state: State, response: &str, cost: Option<i64>) -> ExpectedEnd {
        let ended = &mut self.chats[chat];
        if ended.state != State::Pending {
            return self.too_late(chat, Some(response));
        }
        ended.state = state;
        ended.response = Some(response.to_owned());
        ended.cost = cost.unwrap_or(ended.price).clamp(0, ended.price);
        let (user, rest) = (ended.user, ended.price - ended.cost);
        let balance = if rest > 0 { self.enter(user, "settlement", rest) } else { self.users[user].balance };
        ExpectedEnd::Now { balance }
    }

    /// Ends a chat whose time limit expires mid-answer. `cost` is charged nevertheless.
    pub fn time_out(&mut self, chat: usize, response: &str, cost: Option<i64>) -> ExpectedEnd {
        let was_pending = self.chats[chat].state == State::Pending;
        let price = self.chats[chat].price;
        if !was_pending || cost.is_some_and(|cost| cost.min(price) > 0) {
            return self.settle(chat, State::Failed, response, cost);
        }
        let ended = self.refund(chat, State::Failed);
        self.chats[chat].response = Some(response.to_owned());
        ended
    }

    /// Refunds a hold that failed, or whose client disconnected before the answer began.
    pub fn refund(&mut self, chat: usize, state: State) -> ExpectedEnd {
        let ended = &mut self.chats[chat];
        if ended.state != State::Pending {
            return self.too_late(chat, None);
        }
        (ended.state, ended.is_refunded) = (state, true);
        let (user, price) = (ended.user, ended.price);
        self.users[user].keys.retain(|_, of| *of != chat);
        ExpectedEnd::Now { balance: self.enter(user, "refund", price) }
    }

    fn too_late(&mut self, chat: usize, response: Option<&str>) -> ExpectedEnd {
        let ended = &mut self.chats[chat];
        match ended.state {
            State::Complete => ExpectedEnd::AlreadyComplete,
            State::Cancelled | State::Failed if !ended.is_refunded => ExpectedEnd::AlreadyComplete,
            // The answer comes too late to be paid for, but it is kept.
            _ => {
                ended.response = ended.response.take().or(response.map(str::to_owned));
                ExpectedEnd::AlreadyRefunded
            }
        }
    }

    /// Refunds an ended chat. Returns the balance, or why nothing is refunded.
    pub fn give_back(&mut self, chat: usize) -> Result<i64, Refunded> {
        let asked = &mut self.chats[chat];
        match asked.state {
            State::Pending => Err(Refunded::Pending),
            _ if asked.is_refunded => Err(Refunded::AlreadyRefunded),
            _ if asked.cost == 0 => Err(Refunded::NothingToRefund),
            _ => {
                asked.is_refunded = true;
                let (user, cost) = (asked.user, asked.cost);
                Ok(self.enter(user, "refund", cost))
            }
        }
    }

    /// Adjusts a balance. Returns the new one, or `None` if it would be negative.
    pub fn adjust(&mut self, user: usize, amount: i64) -> Option<i64> {
        (self.users[user].balance + amount >= 0).then(|| self.enter(user, "adjustment", amount))
    }

    fn enter(&mut self, user: usize, kind: &'static str, amount: i64) -> i64 {
        let user = &mut self.users[user];
        user.balance += amount;
        user.entries.push((kind, amount, user.balance));
        user.balance
    }
}
