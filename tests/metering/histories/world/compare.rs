//! Compares the database with the model.

use super::{Outcome, State, World, agree};

impl World<'_> {
    /// Compares all users' balances, ledgers and chats with the model.
    pub fn compare(&self) -> Outcome {
        for (user, (id, name, _)) in self.model.users.iter().zip(&self.users) {
            agree(self.ledger.balance(*id), user.balance)
                .map_err(|why| format!("balance of {name}: {why}"))?;
            let entries: Vec<_> = self.ledger.entries(*id);
            let found: Vec<_> =
                entries.iter().map(|e| (e.kind.as_str(), e.amount, e.balance_after)).collect();
            agree(found, user.entries.clone()).map_err(|why| format!("ledger of {name}: {why}"))?;
            let of_user = |place: &usize| self.users[self.model.chats[*place].user].0 == *id;
            let places: Vec<usize> = (0..self.chats.len()).filter(of_user).collect();
            let expected: Vec<_> = places.iter().map(|place| self.expected_chat(*place)).collect();
            let found: Vec<_> = self
                .ledger
                .chats(*id)
                .into_iter()
                .map(|chat| (chat.id, chat.message, chat.charge, chat.state.as_str(), chat.response))
                .collect();
            agree(found, expected).map_err(|why| format!("chats of {name}: {why}"))?;
        }
        Ok(())
    }

    fn expected_chat(&self, place: usize) -> (i64, String, i64, &'static str, Option<String>) {
        let chat = &self.model.chats[place];
        let state = match chat.state {
            State::Pending => "pending",
            State::Complete => "complete",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        };
        (self.chats[place], chat.message.to_string(), chat.price, state, chat.response.clone())
    }
}
