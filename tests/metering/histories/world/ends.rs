//! Ending holds.

use tollgate::clock;
use tollgate::db::{DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::metering::{Arrived, Ended, Ending, end_hold};

use super::super::model::{ExpectedEnd, State};
use super::{Operation, Outcome, World, agree};

impl World<'_> {
    /// Ends a chat's hold, if there is a chat.
    pub(super) async fn end_if_any(&mut self, chat: Option<usize>, ending: Ending) -> Outcome {
        let Some(chat) = chat else { return Ok(()) };
        let operation_id = OperationId::generate();
        let ended = self.run_end(chat, &ending, operation_id).await;
        let entries = self.entries_of(chat);
        self.agree_on_end(chat, &ending, ended)?;
        // Without an entry, a repetition cannot find what was done before.
        let written = match ended {
            Ended::Now { balance } if self.entries_of(chat) > entries => Some(balance),
            _ => None,
        };
        self.done.push(Operation::End { chat, ending, operation_id, written });
        Ok(())
    }

    fn entries_of(&self, chat: usize) -> usize {
        self.model.users[self.model.chats[chat].user].entries.len()
    }

    pub(super) async fn run_end(&self, chat: usize, ending: &Ending, operation_id: OperationId) -> Ended {
        let (chat_id, user) = (self.chats[chat], self.model.chats[chat].user);
        let (scope, ending) = (Scope::user(self.users[user].0), ending.clone());
        let job =
            move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, operation_id, clock::now())?);
        self.ledger.db.write(scope, job).await.unwrap()
    }

    pub(super) fn agree_on_end(&mut self, chat: usize, ending: &Ending, ended: Ended) -> Outcome {
        let expected = match ending {
            Ending::Complete { arrived, cost } => {
                self.model.settle(chat, State::Complete, arrived.text.as_deref().unwrap_or_default(), *cost)
            }
            Ending::Cancelled { arrived, cost } => {
                self.model.settle(chat, State::Cancelled, arrived.text.as_deref().unwrap_or_default(), *cost)
            }
            Ending::LeftEarly => self.model.refund(chat, State::Cancelled),
            Ending::Failed { arrived: Arrived { text: Some(text), .. }, settled, .. } => {
                self.model.time_out(chat, text, *settled)
            }
            Ending::Failed { .. } | Ending::Released { .. } => self.model.refund(chat, State::Failed),
        };
        let expected = match expected {
            ExpectedEnd::Now { balance } => Ended::Now { balance },
            ExpectedEnd::AlreadyRefunded => Ended::AlreadyRefunded,
            ExpectedEnd::AlreadyComplete => Ended::AlreadyComplete,
        };
        agree(ended, expected)
    }
}
