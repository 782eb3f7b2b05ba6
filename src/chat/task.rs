//! The task of a chat whose answer takes time. It waits for a place among the calls, charges,
//! passes the answer on and ends the hold. It belongs to no connection: the charge matrix
//! (`docs/charges.md`) says what changes when the client disconnects.

use std::sync::Arc;
use std::time::Duration;

use super::admission::Admission;
use super::chain::NewResponse;
use super::context::Context;
use super::prepare::Prepared;
use super::receipt::Receipt;
use super::request::ChatRequest;
use super::slots::Slot;
use super::stream::Client;
use super::transcript::{End, Settled, Transcript, result_for_client};
use crate::clock;
use crate::db::{DbConnection, Scope};
use crate::domain::{OperationId, Usage};
use crate::error::{Error, Result};
use crate::metering::{Charged, Ended, Ending, end_hold_and_tell_when};
use crate::models::{Chat, ChatState, User};
use crate::responder::{Answer, AnswerBounds, CallPermit, Failure, Question, Recording};

/// How long a client waits for settlement before it gets an error that says it is not confirmed.
const CLIENT_PATIENCE: Duration = Duration::from_secs(15);

/// How long a client waits for settlement during shutdown.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// The longest pause between two tries to settle while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The most tries to settle while the database can be read. They take about two minutes.
const MOST_TRIES: u32 = 30;

/// A request that was charged.
struct Admitted {
    prepared: Prepared,
    /// The permission to make a call, or why there is none.
    permit: Result<CallPermit, Failure>,
    slot: Option<Slot>,
    admission: Admission,
}

/// A pending chat, and its user's slot.
struct Hold {
    charged: Charged,
    slot: Option<Slot>,
    /// What is stored with the answer.
    stored: Option<NewResponse>,
}

/// Runs one chat, from admission to settlement.
pub(super) async fn run(context: Arc<Context>, request: ChatRequest, client: Client) {
    context.run(request, client).await;
}

impl Context {
    async fn run(&self, mut request: ChatRequest, mut client: Client) {
        let admitted = match self.get_in(&mut request, &mut client).await {
            Ok(Some(admitted)) => admitted,
            // The client has disconnected, and nothing is charged.
            Ok(None) => return,
            Err(error) => return client.finish(Err(error)).await,
        };
        let Admitted { prepared, permit, slot, admission } = admitted;
        let charged = match admission {
            Admission::Held(charged) => charged,
            Admission::Answered(receipt) => return client.finish(Ok(*receipt)).await,
        };
        let price = prepared.hold();
        client.start(charged, &prepared.question.model, price, charged.created_at);
        let mut transcript = Transcript { has_key: request.key.is_some(), ..Transcript::default() };
        // Only a retry under a key needs it.
        if request.key.is_some() && client.is_streaming() {
            transcript.recording = Some(Recording::default());
        }
        let end = match permit {
            Ok(permit) => self.relay(permit, &request.message, &prepared, &client, &mut transcript).await,
            Err(failure) => End::Failed(failure),
        };
        let receipt = Receipt {
            chat_id: charged.chat_id,
            message: request.message,
            model: prepared.question.model.clone(),
            answer: Answer::default(),
            parts: None,
            usage: Usage::default(),
            charged: price,
            remaining: charged.balance,
            replayed: false,
            state: ChatState::Complete,
            created_at: charged.created_at,
            finished_at: charged.created_at,
        };
        let hold = Hold { charged, slot, stored: NewResponse::of(&request.chain) };
        self.finish(hold, &prepared, transcript, end, receipt, client).await;
    }

    /// Looks things up, waits for one of the user's slots and for a place among the calls, and
    /// charges. `None` if the client disconnects before the charge. A retry, known by its key,
    /// needs neither slot nor place.
    async fn get_in(&self, request: &mut ChatRequest, client: &mut Client) -> Result<Option<Admitted>> {
        let prepared = tokio::select! {
            prepared = self.prepare(request) => prepared?,
            () = client.left() => return Ok(None),
        };
        if prepared.is_known {
            let admission =
                self.charge(self.new_charge(request, &prepared), prepared.price, &request.notes).await?;
            // If the key was forgotten at this very moment, the charge is a hold, which then fails
            // and is refunded at once.
            let permit = Err(Failure::Busy);
            return Ok(Some(Admitted { prepared, permit, slot: None, admission }));
        }
        let mut slot = self.slots.line_up(prepared.user_id, prepared.concurrent_chats)?;
        loop {
            let permit = tokio::select! {
                permit = self.find_a_place(&prepared, &mut slot) => permit?,
                () = client.left() => return Ok(None),
                () = self.hurry.cancelled() => return Err(Failure::Busy.into()),
            };
            match self.charge(self.new_charge(request, &prepared), prepared.price, &request.notes).await {
                // The user's holds on other nodes take the slot. The place goes to somebody else.
                Err(Error::TooManyChats) => {
                    drop(permit);
                    slot.give_back();
                }
                Err(error) => return Err(error),
                Ok(admission) => {
                    slot.was_charged();
                    let (permit, slot) = (Ok(permit), Some(slot));
                    return Ok(Some(Admitted { prepared, permit, slot, admission }));
                }
            }
        }
    }

    /// Waits for the user's slot and then for a place among the calls.
    async fn find_a_place(&self, prepared: &Prepared, slot: &mut Slot) -> Result<CallPermit> {
        slot.taken().await?;
        let admit = self.responder.admit(prepared.user_id, &prepared.question.model);
        let admitted = tokio::time::timeout_at(slot.deadline(), admit).await;
        Ok(admitted.unwrap_or(Err(Failure::Busy))?)
    }

    /// Passes the answer on until it ends, the client disconnects, the time is up, or the server
    /// must stop. Dropping this future cancels the call.
    async fn relay(
        &self,
        permit: CallPermit,
        message: &str,
        prepared: &Prepared,
        client: &Client,
        transcript: &mut Transcript,
    ) -> End {
        let limit = self.responder.time_limit();
        let relaying = self.relay_parts(permit, message, prepared, client, transcript);
        let end = tokio::select! {
            biased;
            () = self.hurry.cancelled() => Some(End::Failed(Failure::ServerStopped)),
            () = client.left() => Some(End::Left),
            end = tokio::time::timeout(limit, relaying) => end.ok(),
        };
        // After the last finish reason only the usage can follow, so every end is a good one.
        if !matches!(end, Some(End::Finished)) && transcript.answer.has_ended(prepared.question.choices) {
            return transcript.end();
        }
        match end {
            Some(end) => end,
            None if transcript.was_held_up(limit) => End::Left,
            None => End::Failed(Failure::TotalTimeout),
        }
    }

    async fn relay_parts(
        &self,
        permit: CallPermit,
        message: &str,
        prepared: &Prepared,
        client: &Client,
        transcript: &mut Transcript,
    ) -> End {
        let first = self.relay_answer(permit, message, &prepared.question, client, transcript).await;
        // A text may have more tokens than its estimate. Less of the conversation may fit.
        let shorter = match first {
            End::Failed(Failure::ContextTooLong) if !transcript.answer.has_begun() => {
                prepared.question.halved()
            }
            _ => None,
        };
        let Some(shorter) = shorter else { return first };
        transcript.prompt_estimate = Some(shorter.prompt_estimate());
        match self.responder.admit(prepared.user_id, &shorter.model).await {
            Ok(permit) => self.relay_answer(permit, message, &shorter, client, transcript).await,
            Err(failure) => End::Failed(failure),
        }
    }

    async fn relay_answer(
        &self,
        permit: CallPermit,
        message: &str,
        question: &Question,
        client: &Client,
        transcript: &mut Transcript,
    ) -> End {
        transcript.prompt = permit.prompt_mark();
        let bounds = AnswerBounds::of(question.max_output.saturating_mul(question.choices));
        let mut stream = match self.responder.ask(permit, message, question).await {
            Ok(stream) => stream,
            Err(failure) => return End::Failed(failure),
        };
        loop {
            match stream.next().await {
                Ok(Some(piece)) => {
                    let added = transcript.answer.add(piece, &bounds);
                    transcript.usage = stream.usage();
                    transcript.first_byte_at.get_or_insert_with(clock::now);
                    let Ok(mut news) = added else { return End::Failed(Failure::TooLarge) };
                    // The finish reason is sent at the end. A client that got it before any output
                    // would take an empty answer for a good one.
                    if news.finish_reason.is_some() && !transcript.answer.has_output() {
                        news.finish_reason = None;
                    }
                    if !news.is_empty() && !transcript.pass_on(news, client).await {
                        return End::Left;
                    }
                }
                Ok(None) => {
                    transcript.usage = stream.usage();
                    return transcript.end();
                }
                Err(failure) => return End::Failed(failure),
            }
        }
    }

    /// Ends the hold and then sends the outcome to the client. If the database is away for long,
    /// the client gets an error first.
    async fn finish(
        &self,
        hold: Hold,
        prepared: &Prepared,
        transcript: Transcript,
        end: End,
        mut receipt: Receipt,
        mut client: Client,
    ) {
        let outcome = transcript.outcome(&prepared.question, prepared.price, receipt.charged, end);
        (receipt.usage, receipt.charged, receipt.answer) = (outcome.usage, outcome.cost, transcript.answer);
        let stored = hold.stored.filter(|_| outcome.is_paid());
        let ended = async {
            let ended = self.end(hold.charged, outcome.ending, stored).await;
            // The user's next chat may begin, however slowly the client reads.
            drop(hold.slot);
            ended
        };
        tokio::pin!(ended);
        let out_of_patience = async {
            tokio::select! {
                () = tokio::time::sleep(CLIENT_PATIENCE) => {}
                // The connection will be closed soon.
                () = self.hurry.cancelled() => tokio::time::sleep(LAST_PATIENCE).await,
            }
        };
        tokio::select! {
            ended = &mut ended => client.finish(result_for_client(ended, end, receipt)).await,
            () = out_of_patience => {
                let error = "the database is away: the hold is settled when it is back";
                client.finish(Err(Error::Unavailable(error.to_owned()))).await;
                // A stream ends when its sender is dropped.
                drop(client);
                let _ = ended.await;
            }
        }
    }

    /// Ends the hold. Retries while the database is away, for as long as the process lives. If the
    /// database can be read but not written, retries at most [`MOST_TRIES`] times.
    async fn end(&self, charged: Charged, ending: Ending, stored: Option<NewResponse>) -> Result<Settled> {
        let (operation_id, most_stored) = (OperationId::generate(), self.prices.stored_bytes);
        let mut pause = Duration::from_millis(100);
        let mut tries = 0;
        loop {
            let (ending, stored) = (ending.clone(), stored.clone());
            let job = move |conn: &mut DbConnection| {
                let now = clock::now();
                let (ended, when) =
                    end_hold_and_tell_when(conn, charged.chat_id, &ending, operation_id, now)?;
                if let (Ended::Now { .. }, Some(stored)) = (&ended, &stored) {
                    stored.insert(conn, charged.user_id, charged.chat_id, most_stored, now)?;
                }
                // If an earlier try ended it, the time is that of this try.
                let finished_at = match when {
                    Some(when) => Some(when),
                    None => Chat::finished_at(conn, charged.chat_id)?,
                };
                Ok(Settled { ended, finished_at: finished_at.unwrap_or(now) })
            };
            let outcome = self.db.write_end(Scope::user(charged.user_id), job).await;
            let Err(error) = outcome else { return outcome };
            // If the database can be read, it is not away. Then this very write may be what fails,
            // and may make others in its batch fail.
            if self.db.read(|conn| Ok(User::find(conn, 0)?)).await.is_ok() {
                tries += 1;
            }
            if self.hurry.is_cancelled() || !is_passing(&error) || tries >= MOST_TRIES {
                let (chat_id, user_id) = (charged.chat_id, charged.user_id);
                log::error!(
                    chat_id = chat_id, user_id = user_id;
                    "chat {chat_id}: its hold could not be ended and is left to the sweeper"
                );
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.hurry.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Returns whether a retry may succeed. It cannot if the row itself is at fault.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Database(_)) && !error.is_constraint_violation()
}
