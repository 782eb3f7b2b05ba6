//! Looks up in one read what a charge needs: the user, the model with its price, and the earlier
//! messages of the conversation.

use super::context::Context;
use super::media;
use super::request::{ChatRequest, Prompt};
use crate::clock;
use crate::db::DbConnection;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::metering::Price;
use crate::models::{Conversation, DEFAULT_IMAGE_TOKENS, EntryKind, LedgerEntry, Model, StoredKey, User};
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

/// What one read finds for the charge.
struct LookedUp {
    user_id: i64,
    balance: i64,
    concurrent_chats: i64,
    is_known: bool,
    /// Of the models that the settings name, those that are stored.
    models: Vec<Model>,
    earlier: Vec<Turn>,
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
        let found = self.look_up(request, conversation_id).await?;
        if found.is_known {
            return Ok(Prepared { is_known: true, ..Prepared::dummy(found.user_id, self.prices.chat) });
        }
        let concurrent_chats = found.concurrent_chats;
        let prepared = match &self.responder {
            Responder::Dummy(_) => {
                let mut prepared = Prepared::dummy(found.user_id, self.prices.chat);
                if let Prompt::Whole(question) = &request.prompt {
                    prepared.question.choices = question.choices;
                }
                Prepared { conversation_id, concurrent_chats, ..prepared }
            }
            Responder::Upstream(catalogue) => {
                let price = |model: &Model| Price::of(model, self.prices.chat);
                let asked = question(catalogue, request, &found, price)?;
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
        let (auth_token, now, message) = (request.auth_token, clock::now(), request.message.clone());
        let key = request.key.as_ref().map(|(key, _)| key.clone());
        let default = self.prices.concurrent_chats;
        let catalogue = match &self.responder {
            Responder::Dummy(_) => None,
            Responder::Upstream(catalogue) => Some(catalogue.clone()),
        };
        let read = move |conn: &mut DbConnection| {
            let found = User::find_by_auth_token(conn, auth_token, now)?;
            let (user, _) = found.ok_or(Error::Unauthorized)?;
            let known = match &key {
                Some(key) => StoredKey::find(conn, user.id, key.as_str())?,
                None => None,
            };
            let mut found = LookedUp {
                user_id: user.id,
                balance: user.tokens,
                concurrent_chats: user.concurrent_chats.unwrap_or(default),
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
            if let Some(catalogue) = &catalogue {
                found.models = Model::all(conn)?;
                // Without a model on offer, `question` rejects the message.
                if let Some(id) = conversation_id
                    && let Some(model) = on_offer(catalogue, &found.models).first()
                {
                    found.earlier = earlier_turns(conn, id, catalogue.budget(model, &message))?;
                }
            }
            Ok(found)
        };
        // A conversation may be long. Everything else is a few rows.
        if conversation_id.is_some() { self.db.read(read).await } else { self.db.read_few(read).await }
    }

    /// Returns the models that the settings name and that are not withdrawn, in the settings'
    /// order.
    pub(super) async fn on_offer(&self, catalogue: &Catalogue) -> Result<Vec<Model>> {
        let stored = self.db.read_few(|conn| Ok(Model::all(conn)?)).await?;
        Ok(on_offer(catalogue, &stored))
    }

    /// Returns what a chat cost when it was answered. Later refunds are not counted.
    pub(super) async fn cost_of(&self, chat_id: i64) -> Result<i64> {
        let entries = self.db.read(move |conn| Ok(LedgerEntry::of_chat(conn, chat_id)?)).await?;
        let paid = entries.iter().filter(|entry| entry.kind != EntryKind::Refund);
        Ok(-paid.map(|entry| entry.amount).sum::<i64>())
    }
}

/// Returns the models on offer, with what the upstream reports of them.
fn on_offer(catalogue: &Catalogue, stored: &[Model]) -> Vec<Model> {
    let row = |name: &String| {
        let row = stored.iter().find(|model| model.name == *name);
        catalogue.known(&row.cloned().unwrap_or_else(|| Model::unpriced(name.clone())))
    };
    catalogue.models.iter().map(row).filter(|model| !model.is_withdrawn).collect()
}

/// Returns the question and its price. A request that names no model gets the first one on offer.
fn question(
    catalogue: &Catalogue,
    request: &mut ChatRequest,
    found: &LookedUp,
    price: impl Fn(&Model) -> Price,
) -> Result<Prepared> {
    let on_offer = on_offer(catalogue, &found.models);
    let (mut question, model) = match &mut request.prompt {
        Prompt::Message | Prompt::Conversation(_) => {
            let model =
                on_offer.first().ok_or_else(|| Error::Unavailable("all models are withdrawn".to_owned()))?;
            (catalogue.question(model, &request.message, &found.earlier), model)
        }
        Prompt::Whole(wanted) => {
            let model = on_offer.iter().find(|model| model.name == wanted.model);
            let model = model.ok_or_else(|| Error::ModelNotFound(wanted.model.clone()))?;
            media::check(wanted, model, &on_offer)?;
            // Taken, not copied: it may be large, and nothing else needs it.
            let mut question = std::mem::take(&mut **wanted);
            let limits = catalogue.answer_limits(model);
            question.max_output = match question.max_output {
                0 => limits.default,
                wanted => wanted.min(limits.most),
            };
            let extra = std::mem::take(&mut question.extra);
            let may_pass = |name: &str| model.extra_field_names().any(|allowed| allowed == name);
            let passed = extra.into_iter().filter(|(name, _)| may_pass(name));
            let passed: serde_json::Map<_, _> = passed.collect();
            question.passed = passed.keys().cloned().collect();
            question.options.extend(passed);
            (question, model)
        }
    };
    question.request_id = Some(request.request_id);
    let prepared = Prepared { question, price: price(model), ..Prepared::dummy(found.user_id, 0) };
    Ok(Prepared { image_tokens: model.image_tokens.unwrap_or(DEFAULT_IMAGE_TOKENS), ..prepared })
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
