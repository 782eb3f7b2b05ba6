//! Responses that are stored, and that continue each other. The dialect decides what is stored, and
//! what of it a model reads again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::db::DbConnection;
use crate::domain::{Invalid, count_values};
use crate::error::{Error, Result};
use crate::models::{Conversation, Link, ResponseTexts, StoredResponse};
use crate::responder::{Answer, Message, StoredAnswer};

/// The most responses that one request may continue or refer to.
const MOST_TURNS: usize = 200;

/// The most bytes that are read of them.
const MOST_BYTES: u64 = 8 << 20;

/// The most values of JSON that their items and answers may have: each takes far more memory than
/// its text.
const MOST_VALUES: usize = 40_000;

/// What a request stores, continues and refers to. Only responses have any of it.
#[derive(Clone, Default)]
pub struct Chain {
    /// What is stored with the answer. `None`: nothing.
    pub stored: Option<Arc<str>>,
    /// The chat of the response that it continues.
    pub previous: Option<i64>,
    /// The chats of other responses that it refers to.
    pub referenced: Vec<i64>,
    /// Puts the messages together when the earlier responses are known. Only a request that
    /// continues or refers to some needs it.
    pub assemble: Option<Assemble>,
}

/// Puts the messages of a request together.
pub type Assemble = Arc<dyn Fn(Earlier) -> Result<Assembled> + Send + Sync>;

/// The responses that a request continues and refers to, as they are known before any of their
/// texts is read.
#[derive(Debug)]
pub(super) struct Links {
    /// The chats of those that it continues, the oldest first.
    turns: Vec<i64>,
    /// The chats of those that it refers to.
    referenced: Vec<i64>,
    /// The bytes of all their texts.
    pub(super) bytes: u64,
    /// The conversation of the latest.
    pub(super) conversation_id: Option<i64>,
}

/// The earlier responses of a request.
#[derive(Debug)]
pub struct Earlier {
    /// Those that it continues, the oldest first.
    pub turns: Vec<StoredTurn>,
    /// Those that it refers to.
    pub referenced: Vec<StoredTurn>,
    /// The values of JSON that may still be made of them.
    pub room: ValueRoom,
}

/// A stored response.
#[derive(Clone, Debug)]
pub struct StoredTurn {
    /// The chat's id.
    pub chat_id: i64,
    /// What was stored of its request.
    pub request: String,
    text: Option<String>,
    extras: Option<String>,
}

impl StoredTurn {
    fn of(texts: ResponseTexts) -> StoredTurn {
        let ResponseTexts { chat_id, request, text, extras } = texts;
        StoredTurn { chat_id, request, text, extras }
    }

    /// Takes the answer out.
    pub fn take_answer(&mut self) -> Answer {
        let StoredAnswer { answer, .. } = Answer::stored(self.text.take(), self.extras.take().as_deref());
        answer
    }
}

/// The values of JSON that may still be made of earlier responses.
#[derive(Debug)]
pub struct ValueRoom(usize);

impl ValueRoom {
    /// Takes room for values that were just parsed.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not enough.
    pub fn take<'a>(&mut self, values: impl IntoIterator<Item = &'a serde_json::Value>) -> Result<()> {
        let number: usize = values.into_iter().map(count_values).sum();
        self.0 = self.0.checked_sub(number).ok_or_else(|| {
            let reason = format!(
                "the earlier responses have more than {MOST_VALUES} objects, lists and elements: send what \
                 matters of them as input instead"
            );
            Error::Invalid(Invalid::new("previous_response_id", reason))
        })?;
        Ok(())
    }
}

/// A request whose earlier responses are known.
pub struct Assembled {
    /// The messages, the oldest first.
    pub messages: Vec<Message>,
    /// Whether some may be left out if they are too many for the model.
    pub allows_cuts: bool,
    /// What is stored with the answer. `None`: nothing.
    pub stored: Option<Arc<str>>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chain { stored, previous, referenced, assemble: _ } = self;
        let is_stored = stored.is_some();
        f.debug_struct("Chain")
            .field("is_stored", &is_stored)
            .field("previous", previous)
            .field("referenced", referenced)
            .finish_non_exhaustive()
    }
}

impl Chain {
    /// Returns whether the request can be answered only with a look-up or a row of its own.
    pub(super) fn is_needed(&self) -> bool {
        self.stored.is_some() || self.assemble.is_some()
    }

    /// Finds the earlier responses, without reading their texts.
    ///
    /// # Errors
    /// [`Error::PreviousResponseNotFound`] or [`Error::Invalid`] if one is missing, or they are too
    /// many or too large.
    pub(super) fn find(&self, conn: &mut DbConnection, user_id: i64) -> Result<Links> {
        let most = MOST_TURNS.checked_sub(self.referenced.len()).ok_or_else(|| too_much("input"))?;
        let mut turns = match self.previous {
            Some(last) => chain_of(conn, user_id, last, most)?,
            None => Vec::new(),
        };
        let conversation_id = match turns.first().and_then(|latest| latest.conversation_id) {
            Some(id) if Conversation::is_live(conn, user_id, id)? => Some(id),
            _ => None,
        };
        turns.reverse();
        let of_chain: u64 = turns.iter().map(|link| bytes(link.bytes)).sum();
        if of_chain > MOST_BYTES {
            return Err(too_much("previous_response_id"));
        }
        let sizes = StoredResponse::sizes(conn, user_id, &self.referenced)?;
        if let Some(missing) =
            self.referenced.iter().find(|wanted| !sizes.iter().any(|(chat_id, _)| chat_id == *wanted))
        {
            return Err(no_such_items(*missing));
        }
        let of_items: u64 = sizes.iter().map(|(_, length)| bytes(*length)).sum();
        if of_chain + of_items > MOST_BYTES {
            return Err(too_much("input"));
        }
        Ok(Links {
            turns: turns.iter().map(|link| link.chat_id).collect(),
            referenced: self.referenced.clone(),
            bytes: of_chain + of_items,
            conversation_id,
        })
    }
}

/// Returns the chain of responses that ends with the one of chat `last`, the latest first.
fn chain_of(conn: &mut DbConnection, user_id: i64, last: i64, most: usize) -> Result<Vec<Link>> {
    // One more, to see whether there are too many.
    let limit = i64::try_from(most + 1).unwrap_or(i64::MAX);
    let chain = StoredResponse::chain(conn, user_id, last, limit)?;
    if chain.len() > most {
        return Err(too_much("previous_response_id"));
    }
    let missing = match chain.last() {
        None => Some(last),
        Some(oldest) => oldest.previous_chat_id,
    };
    missing.map_or(Ok(chain), |chat_id| Err(Error::PreviousResponseNotFound(chat_id)))
}

impl Links {
    /// Reads the texts.
    ///
    /// # Errors
    /// As for [`Chain::find`], if a response was deleted in the meantime.
    pub(super) fn load(&self, conn: &mut DbConnection, user_id: i64) -> Result<Earlier> {
        let all: Vec<i64> = self.turns.iter().chain(&self.referenced).copied().collect();
        let texts = StoredResponse::texts(conn, user_id, &all)?;
        let mut texts: HashMap<i64, ResponseTexts> =
            texts.into_iter().map(|texts| (texts.chat_id, texts)).collect();
        let mut referenced = Vec::new();
        for chat_id in &self.referenced {
            let is_continued = self.turns.contains(chat_id);
            let found = if is_continued { texts.get(chat_id).cloned() } else { texts.remove(chat_id) };
            referenced.push(StoredTurn::of(found.ok_or_else(|| no_such_items(*chat_id))?));
        }
        let mut turns = Vec::new();
        for chat_id in &self.turns {
            let found = texts.remove(chat_id).ok_or(Error::PreviousResponseNotFound(*chat_id))?;
            turns.push(StoredTurn::of(found));
        }
        Ok(Earlier { turns, referenced, room: ValueRoom(MOST_VALUES) })
    }
}

/// Returns a length that the database counted.
fn bytes(length: i64) -> u64 {
    u64::try_from(length).unwrap_or(0)
}

fn too_much(field: &'static str) -> Error {
    let reason = format!(
        "it leads to more than {MOST_TURNS} responses or {} MiB: send the conversation as input instead",
        MOST_BYTES >> 20
    );
    Error::Invalid(Invalid::new(field, reason))
}

fn no_such_items(chat_id: i64) -> Error {
    let reason = format!(
        "no response resp_{chat_id} is stored, whose items an item_reference names: send the items themselves"
    );
    Error::Invalid(Invalid::new("input", reason))
}

/// What is stored when a hold ends.
#[derive(Clone, Debug)]
pub(super) struct NewResponse {
    request: Arc<str>,
    previous: Option<i64>,
}

impl NewResponse {
    /// Returns what a request stores. `None`: nothing.
    pub(super) fn of(chain: &Chain) -> Option<NewResponse> {
        Some(NewResponse { request: chain.stored.clone()?, previous: chain.previous })
    }

    /// Stores the response, and puts its chat into the conversation of the one that it continues.
    /// `most` is the most bytes that are stored for a user.
    pub(super) fn insert(
        &self,
        conn: &mut DbConnection,
        user_id: i64,
        chat_id: i64,
        most: i64,
        now: chrono::NaiveDateTime,
    ) -> Result<()> {
        let (previous_chat_id, request) = (self.previous, self.request.to_string());
        StoredResponse { chat_id, user_id, previous_chat_id, request }.insert(conn, most)?;
        if let Some(previous) = self.previous {
            Conversation::join(conn, user_id, previous, chat_id, now)?;
        }
        Ok(())
    }
}
