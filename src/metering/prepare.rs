//! What is looked up before a charge: the model with its price, and what was said before in a conversation.

use super::price::Price;
use super::toll::{ChatRequest, Inner, Prompt};
use crate::clock;
use crate::db::DbConnection;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::{Conversation, EntryKind, LedgerEntry, Model, StoredKey, User};
use crate::responder::{DUMMY, Offer, Question, Responder};

/// A question that is ready to be paid for and asked.
pub(super) struct Prepared {
    pub question: Question,
    pub price: Price,
    pub conversation_id: Option<i64>,
}

/// The most earlier messages of a conversation that are looked at.
const MOST_EARLIER: i64 = 200;

impl Prepared {
    /// The dummy reads only the message, and costs what a message costs.
    pub fn dummy(price: i64) -> Prepared {
        let question = Question { model: DUMMY.to_owned(), ..Question::default() };
        Prepared { question, price: Price::Message(price), conversation_id: None }
    }
}

impl Inner {
    /// # Errors
    /// [`Error::ModelNotFound`] when the model is not on offer; that there is no such conversation. An auth token that is
    /// no good is told first.
    pub(super) async fn prepare(&self, request: &ChatRequest) -> Result<Prepared> {
        let conversation_id = match request.prompt {
            Prompt::Conversation(id) => Some(id),
            _ => None,
        };
        let earlier = self.earlier(request, conversation_id).await?;
        let offer = match &self.responder {
            Responder::Dummy(_) => {
                return Ok(Prepared { conversation_id, ..Prepared::dummy(self.prices.chat) });
            }
            Responder::Upstream(offer) => offer,
        };
        let model = self.model(offer, request).await?;
        let price = Price::of(&model, self.prices.chat);
        let question = match &request.prompt {
            Prompt::Message | Prompt::Conversation(_) => {
                offer.question(&model.name, &request.message, &earlier)
            }
            Prompt::Whole(question) => {
                let mut question = question.clone();
                question.max_output = match question.max_output {
                    0 => offer.max_output,
                    wanted => wanted.min(offer.max_output),
                };
                question
            }
        };
        Ok(Prepared { question, price, conversation_id })
    }

    /// What was said before in the conversation, newest first.
    async fn earlier(
        &self,
        request: &ChatRequest,
        conversation_id: Option<i64>,
    ) -> Result<Vec<(String, Option<String>)>> {
        let Some(conversation_id) = conversation_id else { return Ok(Vec::new()) };
        let (auth_token, now) = (request.auth_token, clock::now());
        let read = move |conn: &mut DbConnection| {
            let found = User::find_by_auth_token(conn, auth_token, now)?;
            let (user, _) = found.ok_or(Error::Unauthorized)?;
            let own = Conversation::find_of(conn, user.id, conversation_id)?;
            own.ok_or_else(no_such_conversation)?;
            Ok(Conversation::answered(conn, conversation_id, MOST_EARLIER)?)
        };
        self.db.read(read).await
    }

    /// The model that is asked for, or the first on offer, with the price that it has now.
    async fn model(&self, offer: &Offer, request: &ChatRequest) -> Result<Model> {
        let wanted = match &request.prompt {
            Prompt::Whole(question) => Some(question.model.clone()),
            _ => None,
        };
        let on_offer = self.on_offer(offer).await?;
        let found = match &wanted {
            Some(name) => on_offer.into_iter().find(|model| model.name == *name),
            None => on_offer.into_iter().next(),
        };
        if let Some(model) = found {
            return Ok(model);
        }
        // 401 comes before every other refusal.
        let (auth_token, now) = (request.auth_token, clock::now());
        let user = self.db.read(move |conn| Ok(User::find_by_auth_token(conn, auth_token, now)?)).await?;
        user.ok_or(Error::Unauthorized)?;
        Err(match wanted {
            Some(name) => Error::ModelNotFound(name),
            None => Error::Unavailable("all models are withdrawn".to_owned()),
        })
    }

    /// The models that the settings name and that are not withdrawn, in the settings' order.
    pub(super) async fn on_offer(&self, offer: &Offer) -> Result<Vec<Model>> {
        let names = offer.models.clone();
        let stored = self.db.read(|conn| Ok(Model::all(conn)?)).await?;
        let row = |name: String| {
            let row = stored.iter().find(|model| model.name == name);
            row.cloned().unwrap_or_else(|| Model::unpriced(name))
        };
        Ok(names.into_iter().map(row).filter(|model| !model.is_withdrawn).collect())
    }

    /// Whether the request is a retry of one that is known by its key. Then it needs no place among the calls.
    pub(super) async fn is_known(&self, request: &ChatRequest) -> Result<bool> {
        let (auth_token, now, key) = (request.auth_token, clock::now(), request.key.clone());
        let read = move |conn: &mut DbConnection| {
            let found = User::find_by_auth_token(conn, auth_token, now)?;
            let (user, _) = found.ok_or(Error::Unauthorized)?;
            let Some((key, _)) = &key else { return Ok(false) };
            Ok(StoredKey::find(conn, user.id, key.as_str())?.is_some())
        };
        self.db.read(read).await
    }

    /// What a chat cost when it was answered: later refunds are not counted.
    pub(super) async fn cost_of(&self, chat_id: i64) -> Result<i64> {
        let entries = self.db.read(move |conn| Ok(LedgerEntry::of_chat(conn, chat_id)?)).await?;
        let paid = entries.iter().filter(|entry| entry.kind != EntryKind::Refund);
        Ok(-paid.map(|entry| entry.amount).sum::<i64>())
    }
}

fn no_such_conversation() -> Error {
    Error::Invalid(Invalid::new("conversation_id", "name one of your conversations: GET /conversations/"))
}
