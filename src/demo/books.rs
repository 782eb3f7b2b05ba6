//! Writes what users do into the books: registrations, log-ins, auth tokens, charges and the ends
//! of holds. The money is moved by the same code as on a server, at moments of the past.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};

use super::Story;
use super::plan::{Message, Outcome, TokenUse};
use super::team::TEAM;
use crate::administration::adjust_and_record;
use crate::audit::Actor;
use crate::db::{DbConnection, SetCommand};
use crate::domain::{OperationId, PlainToken, TokenDigest, Usage, Username, estimate_of};
use crate::error::{Error, Result};
use crate::metering::{
    Adjusted, Adjustment, Arrived, Charge, Ending, NewAccount, OpenedAccount, Price, Verdict, end_hold,
    open_account,
};
use crate::models::{AuthToken, Conversation, NewAuthToken, User};
use crate::responder::{Dummy, Responder};

/// A password hash that no password matches.
pub(super) const UNUSABLE: &str = "!";
/// The most tokens of an answer that clients of the sample data ask for.
const MOST_OUTPUT: u32 = 400;
/// The tokens that instructions add to a prompt.
const INSTRUCTIONS: i64 = 24;
/// The tokens that an earlier turn adds to a prompt.
const A_TURN: i64 = 60;
/// How many messages a payer buys at once.
const MESSAGES_BOUGHT: i64 = 50;
/// How long holds last before the sweeper refunds them. Those that are open at the end can be
/// looked at for hours.
const HOLD_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// What was written so far, as far as later steps need it.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// The ids of the team's members.
    pub team: Vec<i64>,
    /// The price of each model.
    pub prices: Vec<Price>,
    /// The accounts of those who have registered, by their places among the people.
    accounts: HashMap<usize, Account>,
    /// The ids of the conversations, by their numbers.
    conversations: HashMap<usize, i64>,
    /// The messages that were charged, by their numbers.
    pub sent: HashMap<usize, Sent>,
    /// When each auth token was last used.
    used: HashMap<TokenDigest, NaiveDateTime>,
    invoices: i64,
}

/// A registered person.
#[derive(Clone, Debug)]
struct Account {
    id: i64,
    /// The auth token of the latest log-in.
    login: Option<TokenDigest>,
    /// The id of the latest named auth token.
    named: Option<i64>,
}

/// A message that was charged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub chat_id: i64,
    price: Price,
}

/// Returns the id of an account that was opened.
pub(super) fn opened(outcome: OpenedAccount) -> Result<i64> {
    match outcome {
        OpenedAccount::Opened(id) | OpenedAccount::OpenedBefore(id) => Ok(id),
        OpenedAccount::NameTaken => Err(Error::UsernameTaken),
    }
}

impl Books {
    /// Returns the id of a person. `None` before the registration.
    pub(super) fn id_of(&self, person: usize) -> Option<i64> {
        self.accounts.get(&person).map(|account| account.id)
    }

    /// Returns the id of a person's latest named auth token.
    pub(super) fn named_token_of(&self, person: usize) -> Option<i64> {
        self.accounts.get(&person)?.named
    }

    /// Returns the number of people who have registered.
    pub(super) fn people(&self) -> usize {
        self.accounts.len()
    }

    /// Returns a member of the team as the actor of the history.
    pub(super) fn actor(&self, member: usize) -> Actor {
        let address = TEAM.get(member).map_or("", |member| member.address);
        Actor { user_id: self.team.get(member).copied(), address: address.to_owned() }
    }

    pub(super) fn register(
        &mut self,
        conn: &mut DbConnection,
        story: &Story,
        person: usize,
        at: NaiveDateTime,
    ) -> Result<()> {
        let Some(planned) = story.plan.people.get(person) else { return Ok(()) };
        let account = NewAccount {
            username: Username::parse(planned.name).map_err(Error::Invalid)?,
            password_hash: UNUSABLE.to_owned(),
            tokens: story.terms.opening_tokens,
            is_superuser: false,
            operation_id: OperationId::generate(),
            now: at,
        };
        let id = opened(open_account(conn, &account)?)?;
        self.accounts.insert(person, Account { id, login: None, named: None });
        Ok(())
    }

    /// Returns the account of a person who may log in.
    fn active(&mut self, conn: &mut DbConnection, person: usize) -> Result<Option<&mut Account>> {
        let Some(account) = self.accounts.get_mut(&person) else { return Ok(None) };
        let is_active = User::find(conn, account.id)?.is_some_and(|user| user.is_active);
        Ok(is_active.then_some(account))
    }

    /// Makes the auth token of a log-in.
    pub(super) fn log_in(&mut self, conn: &mut DbConnection, person: usize, at: NaiveDateTime) -> Result<()> {
        let Some(account) = self.active(conn, person)? else { return Ok(()) };
        let plain = PlainToken::generate()?;
        new_token(account.id, plain.digest(), plain.first_characters(), at).insert(conn)?;
        User::set_last_login(conn, account.id, at)?;
        account.login = Some(plain.digest());
        Ok(())
    }

    /// Makes a named auth token, which expires after some days. Nobody knows its plain text.
    pub(super) fn make_token(
        &mut self,
        conn: &mut DbConnection,
        person: usize,
        (name, days, then): (&str, Option<i64>, TokenUse),
        at: NaiveDateTime,
    ) -> Result<()> {
        let Some(account) = self.active(conn, person)? else { return Ok(()) };
        let plain = PlainToken::generate()?;
        let new = new_token(account.id, plain.digest(), plain.first_characters(), at);
        let (name, expires_at) = (Some(name.to_owned()), days.map(|days| at + TimeDelta::days(days)));
        account.named = Some(NewAuthToken { name, expires_at, ..new }.insert(conn)?.id);
        if then != TokenUse::Never {
            self.used.insert(plain.digest(), at + TimeDelta::minutes(50));
        }
        Ok(())
    }

    /// Revokes a person's latest named auth token, as the person does it.
    pub(super) fn revoke_own_token(
        &mut self,
        conn: &mut DbConnection,
        person: usize,
        at: NaiveDateTime,
    ) -> Result<()> {
        if let (Some(id), Some(token)) = (self.id_of(person), self.named_token_of(person)) {
            AuthToken::revoke(conn, id, token, at)?;
        }
        Ok(())
    }

    /// Charges a message, if its sender may send it. One who pays first buys tokens if the balance
    /// is too low.
    pub(super) fn send(
        &mut self,
        conn: &mut DbConnection,
        story: &Story,
        number: usize,
        at: NaiveDateTime,
    ) -> Result<()> {
        let Some(message) = story.plan.messages.get(number) else { return Ok(()) };
        let Some(Account { id, login: Some(auth_token), .. }) = self.accounts.get(&message.person).cloned()
        else {
            return Ok(());
        };
        let price = self.prices.get(message.model).copied();
        let price = price.unwrap_or(Price::Message(story.terms.message_price));
        let conversation_id = self.conversation(conn, message, id, at)?;
        let charge = Charge { conversation_id, ..new_charge(story, message, (auth_token, price), at) };
        let mut verdict = run(conn, &charge)?;
        let pays = story.plan.people.get(message.person).is_some_and(|person| person.pays);
        if pays && matches!(verdict, Some(Verdict::Insufficient { .. })) {
            self.buy(conn, story, id, at)?;
            verdict = run(conn, &charge)?;
        }
        // All else is rejected, as it would be on a server: nothing is written.
        if let Some(Verdict::Charged(charged)) = verdict {
            self.sent.insert(number, Sent { chat_id: charged.chat_id, price });
            self.used.insert(auth_token, at);
        }
        Ok(())
    }

    /// Returns the id of a message's conversation, which begins with its first message.
    fn conversation(
        &mut self,
        conn: &mut DbConnection,
        message: &Message,
        user_id: i64,
        at: NaiveDateTime,
    ) -> Result<Option<i64>> {
        let Some(number) = message.conversation else { return Ok(None) };
        if let Some(id) = self.conversations.get(&number) {
            return Ok(Some(*id));
        }
        let title: String = message.talk.0.chars().take(40).collect();
        let id = Conversation::insert(conn, user_id, &title, at)?.id;
        self.conversations.insert(number, id);
        Ok(Some(id))
    }

    /// Adds the tokens that a user has paid for outside of this server.
    fn buy(
        &mut self,
        conn: &mut DbConnection,
        story: &Story,
        user_id: i64,
        at: NaiveDateTime,
    ) -> Result<Adjusted> {
        self.invoices += 1;
        let note = format!("Invoice 2026-{:03} paid", 300 + self.invoices);
        let tokens = MESSAGES_BOUGHT * story.unit();
        self.adjust(conn, 0, (user_id, tokens, note.as_str(), OperationId::generate()), at)
    }

    /// Changes a balance, as a member of the team does it: the user, the tokens, the reason and the
    /// id of the operation.
    pub(super) fn adjust(
        &self,
        conn: &mut DbConnection,
        member: usize,
        (user_id, amount, note, operation_id): (i64, i64, &str, OperationId),
        at: NaiveDateTime,
    ) -> Result<Adjusted> {
        let actor = self.actor(member);
        let (actor_id, note) = (actor.user_id, note.to_owned());
        adjust_and_record(
            conn,
            &actor,
            &Adjustment { user_id, amount, note, actor_id, operation_id, now: at },
        )
    }

    /// Ends the hold of a message.
    pub(super) fn end(
        &mut self,
        conn: &mut DbConnection,
        story: &Story,
        number: usize,
        at: NaiveDateTime,
    ) -> Result<()> {
        let (Some(message), Some(sent)) = (story.plan.messages.get(number), self.sent.get(&number)) else {
            return Ok(());
        };
        let ending = match message.outcome {
            Outcome::Answered => {
                let (arrived, cost) = answer(message, sent.price, message.talk.1);
                Ending::Complete { arrived, cost }
            }
            Outcome::CutOff => {
                let half = message.talk.1.chars().count() / 2;
                let part: String = message.talk.1.chars().take(half.max(1)).collect();
                let (arrived, cost) = answer(message, sent.price, &part);
                Ending::Cancelled { arrived, cost }
            }
            Outcome::LeftEarly => Ending::LeftEarly,
            Outcome::Failed(reason) => Ending::failed(reason),
            Outcome::Open => return Ok(()),
        };
        end_hold(conn, sent.chat_id, &ending, OperationId::generate(), at)?;
        Ok(())
    }

    /// Notes when auth tokens were used, and makes the one that is printed, for a user who has
    /// tokens to spend.
    pub(super) fn finish(&mut self, conn: &mut DbConnection, story: &Story, at: NaiveDateTime) -> Result<()> {
        for (digest, used_at) in &self.used {
            AuthToken::touch(conn, *digest, *used_at)?;
        }
        let Some(id) = self.id_of(0) else { return Ok(()) };
        let (digest, first_characters) = &story.printed;
        let name = Some("printed by tollgate demo".to_owned());
        NewAuthToken { name, ..new_token(id, *digest, first_characters, at) }.insert(conn)?;
        let balance = User::find(conn, id)?.map_or(0, |user| user.tokens);
        if balance < MESSAGES_BOUGHT * story.unit() {
            self.buy(conn, story, id, at)?;
        }
        Ok(())
    }
}

/// Returns an auth token to insert, which has no name and never expires.
fn new_token(user_id: i64, digest: TokenDigest, first_characters: &str, at: NaiveDateTime) -> NewAuthToken {
    NewAuthToken {
        user_id,
        digest: digest.as_bytes().to_vec(),
        first_characters: first_characters.to_owned(),
        name: None,
        created_at: at,
        expires_at: None,
        operation_id: None,
        fingerprint: None,
    }
}

/// Returns the charge of a message with this auth token and price, without its conversation. The
/// dummy's has the answer; all others are holds.
fn new_charge(
    story: &Story,
    message: &Message,
    (auth_token, price): (TokenDigest, Price),
    at: NaiveDateTime,
) -> Charge {
    let response = match story.is_dummy(message.model) {
        true => Responder::Dummy(Dummy::default()).answer_at_once(message.talk.0),
        false => None,
    };
    Charge {
        auth_token,
        message: message.talk.0.to_owned(),
        model: story.models.get(message.model).cloned().unwrap_or_default(),
        endpoint: message.endpoint,
        price: price.hold(prompt_tokens(message), MOST_OUTPUT, 1),
        response,
        hold_for: HOLD_FOR,
        concurrent_chats: story.terms.concurrent_chats,
        conversation_id: None,
        key: None,
        operation_id: OperationId::generate(),
        now: at,
    }
}

fn run(conn: &mut DbConnection, charge: &Charge) -> Result<Option<Verdict>> {
    Ok(<Charge as SetCommand>::run(conn, &[charge], false)?.pop().flatten())
}

fn prompt_tokens(message: &Message) -> i64 {
    INSTRUCTIONS + estimate_of(message.talk.0) + A_TURN * message.turn
}

/// Returns what has arrived of an answer, and what it costs.
fn answer(message: &Message, price: Price, text: &str) -> (Arrived, Option<i64>) {
    let usage = Usage {
        prompt_tokens: prompt_tokens(message),
        completion_tokens: estimate_of(text),
        // One of the models does not report it.
        estimated: message.model == 2,
        ..Usage::default()
    };
    let first_byte_at = Some(message.at + message.first_byte);
    let arrived = Arrived { usage: Some(usage), first_byte_at, ..Arrived::text(text) };
    (arrived, price.settled(usage, 1, 1))
}
