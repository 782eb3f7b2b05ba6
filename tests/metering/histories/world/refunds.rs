//! Refunds of answered chats by an administrator.

use tollgate::clock;
use tollgate::db::{DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::metering::{Refund, Refunded, refund};

use super::{Operation, Outcome, World, agree};

impl World<'_> {
    pub(super) async fn give_back(&mut self, chat: usize) -> Outcome {
        let operation_id = OperationId::generate();
        let refunded = self.run_give_back(chat, operation_id).await;
        let written = self.agree_on_refund(chat, refunded)?;
        self.done.push(Operation::GiveBack { chat, operation_id, written });
        Ok(())
    }

    /// Repeats a refund. What it wrote is found. If it wrote nothing, it is decided anew.
    pub(super) async fn repeat_give_back(
        &mut self,
        chat: usize,
        operation_id: OperationId,
        written: Option<i64>,
    ) -> Result<Option<i64>, String> {
        let refunded = self.run_give_back(chat, operation_id).await;
        match written {
            Some(balance) => agree(refunded, self.done_with(chat, balance, false)).map(|()| written),
            None => self.agree_on_refund(chat, refunded),
        }
    }

    async fn run_give_back(&self, chat: usize, operation_id: OperationId) -> Refunded {
        let (chat_id, user) = (self.chats[chat], self.model.chats[chat].user);
        let (user_id, actor_id) = (self.users[user].0, self.users[0].0);
        let wanted = Refund { chat_id, note: "a gift".to_owned(), actor_id, operation_id, now: clock::now() };
        let job = move |conn: &mut DbConnection| Ok(refund(conn, &wanted)?);
        self.ledger.db.write(Scope::user(user_id), job).await.unwrap()
    }

    fn done_with(&self, chat: usize, balance: i64, is_new: bool) -> Refunded {
        let chat = &self.model.chats[chat];
        Refunded::Done { user_id: self.users[chat.user].0, amount: chat.cost, balance, is_new }
    }

    fn agree_on_refund(&mut self, chat: usize, refunded: Refunded) -> Result<Option<i64>, String> {
        match self.model.give_back(chat) {
            Ok(balance) => agree(refunded, self.done_with(chat, balance, true)).map(|()| Some(balance)),
            Err(why) => agree(refunded, why).map(|()| None),
        }
    }
}
