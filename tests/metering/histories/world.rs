//! The database beside the model: each step is taken in both, and they must agree.

mod compare;
mod ends;
mod refunds;

use std::time::Duration;

use tollgate::clock;
use tollgate::db::{DbConnection, Scope, SetCommand};
use tollgate::domain::Usage;
use tollgate::domain::{Endpoint, FailureReason, OperationId, TokenDigest};
use tollgate::metering::{
    Adjusted, Adjustment, Arrived, Charge, Ended, Ending, NewAccount, OpenedAccount, Verdict, open_account,
    sweep,
};
use tollgate::responder::Failure;

use super::model::{Expected, Model, State};
use super::step::Step;
use crate::support::ledger::{Ledger, adjustment, key, new_account, revoke_all, run_adjustment};

pub struct World<'a> {
    ledger: &'a Ledger,
    model: Model,
    users: Vec<(i64, String, TokenDigest)>,
    /// The id of each of the model's chats.
    chats: Vec<i64>,
    done: Vec<Operation>,
}

/// A request under an operation id, and what it wrote, if anything.
#[derive(Clone)]
enum Operation {
    Register { new: NewAccount, id: i64 },
    Chat { user: usize, charge: Box<Charge>, key: Option<u8>, message: u8, written: Option<(i64, i64)> },
    End { chat: usize, ending: Ending, operation_id: OperationId, written: Option<i64> },
    Adjust { user: usize, adjustment: Adjustment, written: Option<i64> },
    GiveBack { chat: usize, operation_id: OperationId, written: Option<i64> },
}

type Outcome = Result<(), String>;

impl<'a> World<'a> {
    pub async fn new(ledger: &'a Ledger) -> World<'a> {
        let model = Model::default();
        let mut world = World { ledger, model, users: Vec::new(), chats: Vec::new(), done: Vec::new() };
        world.register(4000).await.expect("the first user");
        world
    }

    pub async fn take(&mut self, step: &Step) -> Outcome {
        let user = |place: usize, of: &Self| place % of.users.len();
        let chat = |place: usize, of: &Self| (!of.chats.is_empty()).then(|| place % of.chats.len().max(1));
        match *step {
            Step::Register { tokens } => self.register(tokens).await,
            Step::RegisterAgain { user: place } => self.register_again(user(place, self)).await,
            Step::Chat { user: place, price, key, message, hold } => {
                self.chat(user(place, self), price, key, message, hold).await
            }
            Step::Settle { chat: place, cost } => {
                let arrived = Arrived::text(format!("{step:?}"));
                self.end_if_any(chat(place, self), Ending::Complete { arrived, cost }).await
            }
            Step::Leave { chat: place, cost } => {
                let arrived = Arrived::text(format!("{step:?}"));
                self.end_if_any(chat(place, self), Ending::Cancelled { arrived, cost }).await
            }
            Step::LeaveEarly { chat: place } => self.end_if_any(chat(place, self), Ending::LeftEarly).await,
            Step::TimeOut { chat: place, cost } => {
                let usage =
                    Usage { prompt_tokens: 1, completion_tokens: 1, estimated: true, ..Usage::default() };
                let arrived = Arrived { usage: Some(usage), ..Arrived::text(format!("{step:?}")) };
                let reason = Failure::TotalTimeout.reason();
                self.end_if_any(chat(place, self), Ending::Failed { reason, arrived, settled: cost }).await
            }
            Step::Refund { chat: place } => {
                self.end_if_any(chat(place, self), Ending::failed(FailureReason::ServerError)).await
            }
            Step::Release { chat: place } => {
                let actor_id = self.users.first().map(|user| user.0);
                let ending = Ending::Released { actor_id, note: "given up".to_owned() };
                self.end_if_any(chat(place, self), ending).await
            }
            Step::GiveBack { chat: place } => match chat(place, self) {
                Some(chat) => self.give_back(chat).await,
                None => Ok(()),
            },
            Step::Adjust { user: place, amount } => self.adjust(user(place, self), amount).await,
            Step::Sweep { chat: place } => match chat(place, self) {
                Some(chat) => self.sweep(chat).await,
                None => Ok(()),
            },
            Step::Repeat { operation } if self.done.is_empty() => panic!("{operation}: nothing was done yet"),
            Step::Repeat { operation } => self.repeat(operation % self.done.len()).await,
            // Most numbers match no user, so that users are seldom shut out for the rest of the
            // history.
            Step::Revoke { user: place } if place < self.users.len() => {
                revoke_all(&self.ledger.db, self.users[place].0).await;
                self.model.users[place].revoked = true;
                Ok(())
            }
            Step::Revoke { .. } => Ok(()),
        }
    }

    async fn register(&mut self, tokens: i64) -> Outcome {
        let name = format!("user{}", OperationId::generate());
        let new = new_account(&name, tokens);
        let opened = self.open(new.clone()).await;
        let OpenedAccount::Opened(id) = opened else { return Err(format!("{name}: {opened:?}")) };
        self.users.push((id, name, self.ledger.auth_token(id).await));
        self.done.push(Operation::Register { new, id });
        self.model.register(tokens);
        Ok(())
    }

    async fn register_again(&self, user: usize) -> Outcome {
        let opened = self.open(new_account(&self.users[user].1.to_uppercase(), 4000)).await;
        agree(opened, OpenedAccount::NameTaken)
    }

    async fn open(&self, new: NewAccount) -> OpenedAccount {
        self.ledger.db.write(Scope::none(), move |conn| Ok(open_account(conn, &new)?)).await.unwrap()
    }

    async fn chat(&mut self, user: usize, price: i64, name: Option<u8>, message: u8, hold: bool) -> Outcome {
        let text = message.to_string();
        let charge = Charge {
            endpoint: Endpoint::Chat,
            auth_token: self.users[user].2,
            message: text.clone(),
            model: "dummy".to_owned(),
            price,
            response: (!hold).then(|| format!("Response to {message}")),
            hold_for: Duration::from_secs(3600),
            concurrent_chats: crate::support::ledger::CONCURRENT_CHATS,
            conversation_id: None,
            key: name.map(|name| key(&name.to_string(), &text)),
            operation_id: OperationId::generate(),
            now: clock::now(),
        };
        let verdict = self.ledger.db.write_set(charge.clone()).await.unwrap();
        let written = self.agree_on_charge(user, &charge, name, message, verdict)?;
        self.done.push(Operation::Chat { user, charge: Box::new(charge), key: name, message, written });
        Ok(())
    }

    /// Makes the same charge in the model, and compares. Returns the chat's id and the balance if
    /// it was paid.
    fn agree_on_charge(
        &mut self,
        user: usize,
        charge: &Charge,
        key: Option<u8>,
        message: u8,
        verdict: Verdict,
    ) -> Result<Option<(i64, i64)>, String> {
        let expected = self.model.chat(user, charge.price, key, message, charge.response.is_none());
        let written = match &verdict {
            Verdict::Charged(charged) => {
                self.chats.push(charged.chat_id);
                Some((charged.chat_id, charged.balance))
            }
            _ => None,
        };
        let place = |id| self.chats.iter().position(|known| *known == id).unwrap_or(usize::MAX);
        let found = match verdict {
            Verdict::Charged(done) => Expected::Charged { chat: place(done.chat_id), balance: done.balance },
            Verdict::Unauthorized => Expected::Unauthorized,
            Verdict::Insufficient { balance } => Expected::Insufficient { balance },
            Verdict::Replay { chat, balance } => Expected::Replay { chat: place(chat.id), balance },
            Verdict::InFlight => Expected::InFlight,
            Verdict::KeyReused => Expected::KeyReused,
            Verdict::TooManyHolds => return Err("refused for too many holds".into()),
        };
        agree(found, expected).map(|()| written)
    }

    async fn adjust(&mut self, user: usize, amount: i64) -> Outcome {
        let adjustment = adjustment(self.users[user].0, amount);
        let adjusted = run_adjustment(&self.ledger.db, adjustment.clone()).await.unwrap();
        let written = self.agree_on_adjustment(user, amount, adjusted)?;
        self.done.push(Operation::Adjust { user, adjustment, written });
        Ok(())
    }

    fn agree_on_adjustment(
        &mut self,
        user: usize,
        amount: i64,
        adjusted: Adjusted,
    ) -> Result<Option<i64>, String> {
        let balance = self.model.users[user].balance;
        let written = self.model.adjust(user, amount);
        let expected = written
            .map_or(Adjusted::OutOfRange { balance }, |balance| Adjusted::Done { balance, is_new: true });
        agree(adjusted, expected).map(|()| written)
    }

    async fn sweep(&mut self, chat: usize) -> Outcome {
        let id = self.chats[chat];
        self.ledger.sql(&format!(
            "UPDATE chats SET deadline = '2020-01-01 00:00:00' WHERE id = {id} AND state = 'pending'"
        ));
        let was_pending = self.model.chats[chat].state == State::Pending;
        if was_pending {
            self.model.refund(chat, State::Failed);
        }
        agree(sweep(&self.ledger.db).await.unwrap(), usize::from(was_pending))
    }

    /// Repeats an operation under its id. What it wrote is found and not written again. If it wrote
    /// nothing, it is decided anew.
    async fn repeat(&mut self, place: usize) -> Outcome {
        let mut operation = self.done[place].clone();
        let outcome = match &mut operation {
            Operation::Register { new, id } => {
                agree(self.open(new.clone()).await, OpenedAccount::OpenedBefore(*id))
            }
            Operation::Chat { user, charge, key, message, written } => {
                let again = charge.clone();
                let job = move |conn: &mut DbConnection| Charge::run(conn, &[&again], true);
                let mut verdicts = self.ledger.db.write(Scope::none(), job).await.unwrap();
                let verdict = verdicts.pop().flatten().ok_or("no verdict")?;
                match (*written, &verdict) {
                    (Some(before), Verdict::Charged(now)) => agree((now.chat_id, now.balance), before),
                    (Some(before), other) => Err(format!("{other:?} instead of {before:?} again")),
                    (None, _) => {
                        *written = self.agree_on_charge(*user, charge, *key, *message, verdict)?;
                        Ok(())
                    }
                }
            }
            Operation::End { chat, ending, operation_id, written } => {
                let ended = self.run_end(*chat, ending, *operation_id).await;
                match *written {
                    Some(balance) => agree(ended, Ended::Earlier { balance }),
                    None => self.agree_on_end(*chat, ending, ended),
                }
            }
            Operation::Adjust { user, adjustment, written } => {
                let adjusted = run_adjustment(&self.ledger.db, adjustment.clone()).await.unwrap();
                match *written {
                    Some(balance) => agree(adjusted, Adjusted::Done { balance, is_new: false }),
                    None => {
                        *written = self.agree_on_adjustment(*user, adjustment.amount, adjusted)?;
                        Ok(())
                    }
                }
            }
            Operation::GiveBack { chat, operation_id, written } => {
                *written = self.repeat_give_back(*chat, *operation_id, *written).await?;
                Ok(())
            }
        };
        self.done[place] = operation;
        outcome
    }
}

fn agree<T: std::fmt::Debug + PartialEq>(found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}
