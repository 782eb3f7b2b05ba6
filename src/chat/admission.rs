//! Admits a request by charging it.

use std::time::Duration;

use super::context::Context;
use super::prepare::Prepared;
use super::receipt::Receipt;
use super::request::{ChatRequest, Prompt};
use crate::clock;
use crate::domain::{OperationId, TokenDigest, Usage};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::metering::{Charge, Charged, Price, Verdict};
use crate::models::{ChatState, Payer};
use crate::responder::Answer;

/// How long a hold lasts beyond the responder's time limit before the sweeper considers it
/// abandoned.
const GRACE: Duration = Duration::from_secs(120);

/// The result of charging a request.
pub(super) enum Admission {
    /// The chat is complete: it was answered at once, or it is a retry of an answered chat.
    Answered(Box<Receipt>),
    /// The chat is pending until it is answered.
    Held(Charged),
}

impl Context {
    /// Returns whether a request is answered at once, without any look-up or waiting.
    pub(super) fn is_instant(&self, request: &ChatRequest) -> bool {
        let may_be = match &request.prompt {
            Prompt::Message => true,
            Prompt::Conversation(_) => false,
            Prompt::Whole(question) => question.choices == 1 && !question.is_for_embeddings(),
        };
        may_be && !request.chain.is_needed() && self.responder.is_instant()
    }

    /// Returns the charge of a request that is answered at once. `None` for other requests.
    pub(super) fn instant_charge(&self, request: &ChatRequest) -> Option<Charge> {
        if !self.is_instant(request) {
            return None;
        }
        let response = self.responder.answer_at_once(&request.message)?;
        // The charge itself finds the user.
        let prepared = Prepared::dummy(0, self.prices.chat);
        Some(Charge { response: Some(response), ..self.new_charge(request, &prepared) })
    }

    /// Makes the charge of a request, with a new operation id.
    pub(super) fn new_charge(&self, request: &ChatRequest, prepared: &Prepared) -> Charge {
        Charge {
            auth_token: request.auth_token,
            endpoint: request.endpoint,
            message: request.message.clone(),
            model: prepared.question.model.clone(),
            price: prepared.hold(),
            response: None,
            hold_for: self.responder.time_limit() + GRACE,
            concurrent_chats: self.prices.concurrent_chats,
            conversation_id: prepared.conversation_id,
            key: request.key.clone(),
            operation_id: OperationId::generate(),
            now: clock::now(),
        }
    }

    /// Returns the error of a user whose balance is below `price`, which is what `of` holds.
    pub(super) fn insufficient(&self, balance: i64, price: i64, of: Price) -> Error {
        let is_at_most = matches!(of, Price::Usage { .. });
        Error::InsufficientTokens { balance, price, is_at_most, top_up: self.prices.top_up.clone() }
    }

    /// Runs a charge, and notes its user and its chat. `of` is the price of its model.
    ///
    /// # Errors
    /// The errors that the contract names. Nothing was charged then.
    pub(super) async fn charge(&self, charge: Charge, of: Price, notes: &RequestNotes) -> Result<Admission> {
        let (message, model, price) = (charge.message.clone(), charge.model.clone(), charge.price);
        let (response, auth_token) = (charge.response.clone(), charge.auth_token);
        let verdict = self.db.write_set(charge).await?;
        self.note(&verdict, auth_token, notes).await;
        match verdict {
            Verdict::Charged(charged) => {
                let Some(response) = response else { return Ok(Admission::Held(charged)) };
                let answer = Answer::of_text(&response);
                Ok(Admission::Answered(Box::new(Receipt {
                    chat_id: charged.chat_id,
                    model,
                    usage: Usage::counted(&message, answer.text().unwrap_or_default()),
                    message,
                    answer,
                    parts: None,
                    charged: price,
                    remaining: charged.balance,
                    replayed: false,
                    state: ChatState::Complete,
                    created_at: charged.created_at,
                    finished_at: charged.created_at,
                })))
            }
            Verdict::Unauthorized => Err(Error::Unauthorized),
            Verdict::Insufficient { balance } => Err(self.insufficient(balance, price, of)),
            Verdict::TooManyHolds => Err(Error::TooManyChats),
            Verdict::InFlight => Err(Error::KeyInFlight),
            Verdict::KeyReused => Err(Error::KeyReused),
            Verdict::Replay { chat, balance } => {
                let charged = self.cost_of(chat.id).await?;
                let vectors = self.stored_embeddings(&chat).await?;
                Ok(Admission::Answered(Box::new(Receipt::replayed(*chat, vectors, charged, balance)?)))
            }
        }
    }

    /// Notes whose request it is, and its chat, for the request's lines in the log.
    async fn note(&self, verdict: &Verdict, auth_token: TokenDigest, notes: &RequestNotes) {
        match verdict {
            Verdict::Charged(charged) => {
                notes.set_user(charged.user_id);
                notes.set_chat(charged.chat_id);
            }
            Verdict::Replay { chat, .. } => {
                notes.set_user(chat.user_id);
                notes.set_chat(chat.id);
            }
            // Usually a limit has found the user before. It does not if throttles are off.
            Verdict::Insufficient { .. } | Verdict::InFlight | Verdict::KeyReused
                if notes.user_id().is_none() =>
            {
                let now = clock::now();
                let payer = self.db.read_few(move |conn| Ok(Payer::find(conn, auth_token, now)?)).await;
                if let Ok(Some(payer)) = payer {
                    notes.set_user(payer.user_id);
                }
            }
            _ => {}
        }
    }
}
