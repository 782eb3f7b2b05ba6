//! What is looked up before a charge, in one read: who asks, the model with its price, and what was said before in a
//! conversation.

use super::context::Context;
use super::request::{ChatRequest, Prompt};
use crate::clock;
use crate::db::DbConnection;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::metering::Price;
use crate::models::{Conversation, EntryKind, LedgerEntry, Model, StoredKey, User};
use crate::responder::{DUMMY, Earlier, Offer, Question, Responder};

/// A question that is ready to be paid for and asked.
pub(super) struct Prepared {
    /// The user who asks.
    pub user_id: i64,
    pub question: Question,
    pub price: Price,
    pub conversation_id: Option<i64>,
    /// The request is a retry of one that is known by its key: it needs no place among the calls.
    pub is_known: bool,
}

/// What a read has found.
struct Found {
    user_id: i64,
    balance: i64,
    is_known: bool,
    /// Those that are stored.
    models: Vec<Model>,
    earlier: Vec<Earlier>,
}

/// Chats of a conversation that are read at once.
const EARLIER_AT_ONCE: i64 = 20;

impl Prepared {
    /// The dummy reads only the message, and costs what a message costs.
    pub fn dummy(user_id: i64, price: i64) -> Prepared {
        let question = Question { model: DUMMY.to_owned(), ..Question::default() };
        Prepared { user_id, question, price: Price::Message(price), conversation_id: None, is_known: false }
    }

    /// Returns what is held before the call, in tokens of the balance.
    pub fn hold(&self) -> i64 {
        self.price.hold(self.question.prompt_bound(), self.question.max_output)
    }
}

impl Context {
    /// # Errors
    /// First that the auth token is no good; then that there is no such conversation, [`Error::ModelNotFound`] when the
    /// model is not on offer, and that the balance is too low, as the charge would find anyway. A retry that its key makes
    /// known is refused for none of these: what it asks for was answered.
    pub async fn prepare(&self, request: &mut ChatRequest) -> Result<Prepared> {
        let conversation_id = match request.prompt {
            Prompt::Conversation(id) => Some(id),
            _ => None,
        };
        let found = self.look_up(request, conversation_id).await?;
        if found.is_known {
            return Ok(Prepared { is_known: true, ..Prepared::dummy(found.user_id, self.prices.chat) });
        }
        let prepared = match &self.responder {
            Responder::Dummy(_) => {
                Prepared { conversation_id, ..Prepared::dummy(found.user_id, self.prices.chat) }
            }
            Responder::Upstream(offer) => {
                let price = |model: &Model| Price::of(model, self.prices.chat);
                let (question, price) = question(offer, request, &found, price)?;
                Prepared { user_id: found.user_id, question, price, conversation_id, is_known: false }
            }
        };
        let price = prepared.hold();
        if found.balance < price {
            return Err(Error::InsufficientTokens { balance: found.balance, price });
        }
        Ok(prepared)
    }

    async fn look_up(&self, request: &ChatRequest, conversation_id: Option<i64>) -> Result<Found> {
        let (auth_token, now, message) = (request.auth_token, clock::now(), request.message.clone());
        let key = request.key.as_ref().map(|(key, _)| key.clone());
        let offer = match &self.responder {
            Responder::Dummy(_) => None,
            Responder::Upstream(offer) => Some(offer.clone()),
        };
        let read = move |conn: &mut DbConnection| {
            let found = User::find_by_auth_token(conn, auth_token, now)?;
            let (user, _) = found.ok_or(Error::Unauthorized)?;
            let known = match &key {
                Some(key) => StoredKey::find(conn, user.id, key.as_str())?,
                None => None,
            };
            let mut found = Found {
                user_id: user.id,
                balance: user.tokens,
                is_known: known.is_some(),
                models: vec![],
                earlier: vec![],
            };
            if found.is_known {
                return Ok(found);
            }
            if let Some(id) = conversation_id {
                Conversation::find_of(conn, user.id, id)?.ok_or_else(no_such_conversation)?;
            }
            if let Some(offer) = &offer {
                found.models = Model::all(conn)?;
                if let Some(id) = conversation_id {
                    found.earlier = earlier(conn, id, offer, &message)?;
                }
            }
            Ok(found)
        };
        // A conversation may be long; all else is a few rows.
        if conversation_id.is_some() { self.db.read(read).await } else { self.db.read_few(read).await }
    }

    /// The models that the settings name and that are not withdrawn, in the settings' order.
    pub async fn on_offer(&self, offer: &Offer) -> Result<Vec<Model>> {
        let stored = self.db.read_few(|conn| Ok(Model::all(conn)?)).await?;
        Ok(on_offer(offer, &stored))
    }

    /// What a chat cost when it was answered: later refunds are not counted.
    pub async fn cost_of(&self, chat_id: i64) -> Result<i64> {
        let entries = self.db.read(move |conn| Ok(LedgerEntry::of_chat(conn, chat_id)?)).await?;
        let paid = entries.iter().filter(|entry| entry.kind != EntryKind::Refund);
        Ok(-paid.map(|entry| entry.amount).sum::<i64>())
    }
}

fn on_offer(offer: &Offer, stored: &[Model]) -> Vec<Model> {
    let row = |name: &String| {
        let row = stored.iter().find(|model| model.name == *name);
        row.cloned().unwrap_or_else(|| Model::unpriced(name.clone()))
    };
    offer.models.iter().map(row).filter(|model| !model.is_withdrawn).collect()
}

/// What is asked, of the model that is asked for or of the first on offer, and what it costs.
fn question(
    offer: &Offer,
    request: &mut ChatRequest,
    found: &Found,
    price: impl Fn(&Model) -> Price,
) -> Result<(Question, Price)> {
    let on_offer = on_offer(offer, &found.models);
    match &mut request.prompt {
        Prompt::Message | Prompt::Conversation(_) => {
            let model =
                on_offer.first().ok_or_else(|| Error::Unavailable("all models are withdrawn".to_owned()))?;
            Ok((offer.question(&model.name, &request.message, &found.earlier), price(model)))
        }
        Prompt::Whole(wanted) => {
            let model = on_offer.iter().find(|model| model.name == wanted.model);
            let model = model.ok_or_else(|| Error::ModelNotFound(wanted.model.clone()))?;
            // It may be large, and nobody else needs it.
            let mut question = std::mem::take(wanted);
            question.max_output = match question.max_output {
                0 => offer.max_output,
                wanted => wanted.min(offer.max_output),
            };
            Ok((question, price(model)))
        }
    }
}

/// What was said before, newest first: as much of it as the model is told, and no more is read.
fn earlier(conn: &mut DbConnection, id: i64, offer: &Offer, message: &str) -> Result<Vec<Earlier>> {
    let mut room = offer.room(message);
    let mut earlier = Vec::new();
    let mut before = i64::MAX;
    loop {
        let some = Conversation::answered(conn, id, before, EARLIER_AT_ONCE)?;
        let is_last = some.len() < usize::try_from(EARLIER_AT_ONCE).unwrap_or(usize::MAX);
        for (chat_id, said, answer) in some {
            before = chat_id;
            let turn = Earlier { said, answer: answer.unwrap_or_default() };
            if !room.takes(&turn) {
                return Ok(earlier);
            }
            earlier.push(turn);
        }
        if is_last {
            return Ok(earlier);
        }
    }
}

fn no_such_conversation() -> Error {
    Error::Invalid(Invalid::new("conversation_id", "name one of your conversations: GET /conversations/"))
}
