//! Looks up in one read what a charge needs: the user, the model with its price, and the earlier
//! messages of the conversation.

use chrono::NaiveDateTime;

use super::chain::{Chain, Links};
use super::context::Context;
use super::offer::{fit, image_tokens, named, on_offer};
use super::request::{ChatRequest, Prompt};
use crate::clock;
use crate::db::DbConnection;
use crate::domain::{IdempotencyKey, Invalid, TokenDigest};
use crate::error::{Error, Result};
use crate::metering::Price;
use crate::models::{Chat, Conversation, EmbeddingAnswer, EntryKind, LedgerEntry, Model, Payer, StoredKey};
use crate::responder::{Catalogue, ContextBudget, DUMMY, Question, Responder, Turn};

/// A question that is ready to be charged and asked.
pub(super) struct Prepared {
    /// The user who asks.
    pub user_id: i64,
    /// The question for the responder.
    pub question: Question,
    /// The most tokens that a picture in the question may take.
    pub image_tokens: i64,
    /// The most chats that the user may have in progress at once.
    pub concurrent_chats: i64,
    /// The price of the model.
    pub price: Price,
    /// The conversation that the message belongs to, if any.
    pub conversation_id: Option<i64>,
    /// Whether the request is a retry, known by its key. It needs no place among the calls.
    pub is_known: bool,
}

/// What one read looks up for the charge.
struct LookUp {
    auth_token: TokenDigest,
    now: NaiveDateTime,
    key: Option<IdempotencyKey>,
    /// For a user without a limit of their own.
    concurrent_chats: i64,
    /// `None` if the request continues no response.
    chain: Option<Chain>,
    conversation_id: Option<i64>,
    message: String,
    /// `None` if the dummy answers.
    catalogue: Option<Catalogue>,
}

/// What one read finds for the charge.
struct LookedUp {
    user_id: i64,
    balance: i64,
    concurrent_chats: i64,
    is_known: bool,
    /// Of the models that the settings name, those that are stored.
    models: Vec<Model>,
    earlier: Vec<Turn>,
    /// The responses that the request continues and refers to.
    links: Option<Links>,
}

/// Turns of a conversation that are read at once.
const TURNS_AT_ONCE: i64 = 20;

impl Prepared {
    /// Prepares a message for the dummy, which reads only the message and costs the price of a
    /// message.
    pub(super) fn dummy(user_id: i64, price: i64) -> Prepared {
        let question = Question { model: DUMMY.to_owned(), ..Question::default() };
        Prepared {
            user_id,
            question,
            image_tokens: 0,
            concurrent_chats: 0,
            price: Price::Message(price),
            conversation_id: None,
            is_known: false,
        }
    }

    /// Returns the tokens held before the call.
    pub(super) fn hold(&self) -> i64 {
        let question = &self.question;
        self.price.hold(question.prompt_bound(self.image_tokens), question.max_output, question.choices)
    }
}

impl Context {
    /// Looks up what the charge needs, and rejects early what the charge would reject.
    ///
    /// # Errors
    /// In this order: the auth token is not valid; there is no such conversation;
    /// [`Error::ModelNotFound`]; the model does not accept what the question has; the balance is
    /// too low. A retry, known by its key, gets only the first of these errors, because its
    /// question has already been answered.
    pub(super) async fn prepare(&self, request: &mut ChatRequest) -> Result<Prepared> {
        let conversation_id = match request.prompt {
            Prompt::Conversation(id) => Some(id),
            _ => None,
        };
        let mut found = self.look_up(request, conversation_id).await?;
        request.notes.set_user(found.user_id);
        if found.is_known {
            return Ok(Prepared { is_known: true, ..Prepared::dummy(found.user_id, self.prices.chat) });
        }
        let conversation_id = match found.links.take() {
            Some(links) => self.continue_chain(request, found.user_id, links).await?,
            None => conversation_id,
        };
        let concurrent_chats = found.concurrent_chats;
        let prepared = match &self.responder {
            Responder::Dummy(_) => {
                let mut prepared = Prepared::dummy(found.user_id, self.prices.chat);
                if let Prompt::Whole(question) = &mut request.prompt {
                    prepared.question.choices = question.choices;
                    prepared.question.kind = std::mem::take(&mut question.kind);
                    if prepared.question.is_for_embeddings() {
                        prepared.question.options = std::mem::take(&mut question.options);
                    }
                }
                Prepared { conversation_id, concurrent_chats, ..prepared }
            }
            Responder::Upstream(catalogue) => {
                let asked = question(catalogue, request, &found, self.prices.chat)?;
                Prepared { user_id: found.user_id, conversation_id, concurrent_chats, ..asked }
            }
        };
        let price = prepared.hold();
        if found.balance < price {
            return Err(self.insufficient(found.balance, price, prepared.price));
        }
        Ok(prepared)
    }

    async fn look_up(&self, request: &ChatRequest, conversation_id: Option<i64>) -> Result<LookedUp> {
        let wanted = LookUp {
            auth_token: request.auth_token,
            now: clock::now(),
            key: request.key.as_ref().map(|(key, _)| key.clone()),
            concurrent_chats: self.prices.concurrent_chats,
            chain: request.chain.assemble.is_some().then(|| request.chain.clone()),
            conversation_id,
            message: request.message.clone(),
            catalogue: match &self.responder {
                Responder::Dummy(_) => None,
                Responder::Upstream(catalogue) => Some(catalogue.clone()),
            },
        };
        // A conversation may be long. Everything else is a few rows.
        let is_long = conversation_id.is_some() || wanted.chain.is_some();
        let read = move |conn: &mut DbConnection| wanted.read(conn);
        if is_long { self.db.read(read).await } else { self.db.read_few(read).await }
    }

    /// Returns the stored answer of a chat that asked for embeddings.
    pub(super) async fn stored_embeddings(&self, chat: &Chat) -> Result<Option<EmbeddingAnswer>> {
        let chat_id = chat.id;
        match chat.is_listed {
            true => Ok(None),
            false => self.db.read(move |conn| Ok(EmbeddingAnswer::find(conn, chat_id)?)).await,
        }
    }

    /// Returns what a chat cost when it was answered. Later refunds are not counted.
    pub(super) async fn cost_of(&self, chat_id: i64) -> Result<i64> {
        let entries = self.db.read_few(move |conn| Ok(LedgerEntry::of_chat(conn, chat_id)?)).await?;
        let paid = entries.iter().filter(|entry| entry.kind != EntryKind::Refund);
        Ok(-paid.map(|entry| entry.amount).sum::<i64>())
    }
}

impl LookUp {
    fn read(&self, conn: &mut DbConnection) -> Result<LookedUp> {
        let payer = Payer::find(conn, self.auth_token, self.now)?.ok_or(Error::Unauthorized)?;
        let known = match &self.key {
            Some(key) => StoredKey::find(conn, payer.user_id, key.as_str())?,
            None => None,
        };
        let mut found = LookedUp {
            user_id: payer.user_id,
            balance: payer.tokens,
            concurrent_chats: payer.concurrent_chats.unwrap_or(self.concurrent_chats),
            is_known: known.is_some(),
            models: vec![],
            earlier: vec![],
            links: None,
        };
        if !found.is_known {
            self.read_more(conn, &mut found)?;
        }
        Ok(found)
    }

    /// Reads what only a question needs that has no answer yet.
    fn read_more(&self, conn: &mut DbConnection, found: &mut LookedUp) -> Result<()> {
        if let Some(chain) = &self.chain {
            found.links = Some(chain.find(conn, found.user_id)?);
        }
        if let Some(id) = self.conversation_id {
            Conversation::find_of(conn, found.user_id, id)?.ok_or_else(no_such_conversation)?;
        }
        let Some(catalogue) = &self.catalogue else { return Ok(()) };
        found.models = Model::all(conn)?;
        // Without a model on offer, `question` rejects the message.
        if let Some(id) = self.conversation_id
            && let Some(model) = on_offer(catalogue, &found.models).first()
        {
            found.earlier = earlier_turns(conn, id, catalogue.budget(model, &self.message))?;
        }
        Ok(())
    }
}

/// Returns the question and its price. A request that names no model gets the first one on offer.
fn question(
    catalogue: &Catalogue,
    request: &mut ChatRequest,
    found: &LookedUp,
    message_price: i64,
) -> Result<Prepared> {
    let on_offer = on_offer(catalogue, &found.models);
    let (mut question, model) = match &mut request.prompt {
        Prompt::Message | Prompt::Conversation(_) => {
            let model =
                on_offer.first().ok_or_else(|| Error::Unavailable("all models are withdrawn".to_owned()))?;
            (catalogue.question(model, &request.message, &found.earlier), model)
        }
        Prompt::Whole(wanted) => {
            let model = named(&on_offer, &wanted.model)?;
            // Taken, not copied: it may be large, and nothing else needs it.
            (fit(std::mem::take(&mut **wanted), model, &on_offer, catalogue)?, model)
        }
    };
    question.request_id = Some(request.notes.id());
    let price = match question.is_for_embeddings() {
        true => Price::of_embeddings(model, message_price),
        false => Price::of(model, message_price),
    };
    let prepared = Prepared { question, price, ..Prepared::dummy(found.user_id, 0) };
    Ok(Prepared { image_tokens: image_tokens(model), ..prepared })
}

/// Returns the earlier turns of a conversation, newest first. Reads no more than fits
/// the model's context.
fn earlier_turns(conn: &mut DbConnection, id: i64, mut budget: ContextBudget) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    let mut before = i64::MAX;
    loop {
        let some = Conversation::answered(conn, id, before, TURNS_AT_ONCE)?;
        let is_last = some.len() < usize::try_from(TURNS_AT_ONCE).unwrap_or(usize::MAX);
        for (chat_id, said, answer) in some {
            before = chat_id;
            // A turn without text, such as one whose answer reached its limit while the model was
            // thinking, is left out: many upstreams reject an empty message.
            let Some(answer) = answer.filter(|answer| !answer.trim().is_empty()) else { continue };
            let turn = Turn { said, answer };
            if !budget.take(&turn) {
                return Ok(turns);
            }
            turns.push(turn);
        }
        if is_last {
            return Ok(turns);
        }
    }
}

fn no_such_conversation() -> Error {
    Error::Invalid(Invalid::new("conversation_id", "name one of your conversations: GET /conversations/"))
}
