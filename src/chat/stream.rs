//! The way from the task that answers a chat to its client: at once, or part by part.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::receipt::Receipt;
use crate::error::{Error, Result};
use crate::metering::Charged;
use crate::models::ChatState;
use crate::responder::Piece;

/// The number of parts that may wait for a slow client. At this number, the upstream is no longer read.
const PARTS_AHEAD: usize = 64;

/// The memory that these parts may take, in KiB. A part usually has a few hundred bytes.
const KIB_AHEAD: u32 = 256;

/// A client that takes nothing for so long has left.
const SLOWEST_READER: Duration = Duration::from_secs(30);

/// What a stream brings.
#[derive(Debug)]
pub enum Event {
    Piece(Piece),
    /// The answer is complete and paid for. Nothing comes after it.
    Done(Box<Receipt>),
    /// There will be no more of the answer; what was charged has gone back, where the error does not say otherwise.
    Failed(Error),
}

/// What is known when a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    pub chat_id: i64,
    pub model: String,
    /// Tokens taken; a price by usage gives some back in the end.
    pub charged: i64,
    pub remaining: i64,
    pub replayed: bool,
    /// See [`Receipt::state`].
    pub state: ChatState,
    pub created_at: chrono::NaiveDateTime,
}

/// An event on its way to the client, and its share of the room.
type Sent = (Event, Option<OwnedSemaphorePermit>);

/// An answer part by part. Dropping it is leaving: the call is cancelled.
#[derive(Debug)]
pub struct ChatStream {
    pub started: Started,
    events: mpsc::Receiver<Sent>,
    _leaving: Option<DropGuard>,
}

impl ChatStream {
    /// A stream of an answer that is there.
    pub(super) fn of(receipt: Receipt) -> ChatStream {
        let started = Started {
            chat_id: receipt.chat_id,
            model: receipt.model.clone(),
            charged: receipt.charged,
            remaining: receipt.remaining,
            replayed: receipt.replayed,
            state: receipt.state,
            created_at: receipt.created_at,
        };
        let (sender, events) = mpsc::channel(2);
        // There is room for both.
        let _ = sender.try_send((Event::Piece(receipt.answer.as_piece()), None));
        let _ = sender.try_send((Event::Done(Box::new(receipt)), None));
        ChatStream { started, events, _leaving: None }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await.map(|(event, _room)| event)
    }
}

/// The stream's end of a task that has not charged yet.
pub(super) struct Opening {
    opened: oneshot::Receiver<Result<Opened>>,
    events: mpsc::Receiver<Sent>,
    leaving: DropGuard,
}

/// How the task lets its client in.
pub(super) enum Opened {
    Answered(Box<Receipt>),
    Started(Started),
}

impl Opening {
    pub async fn opened(self) -> Result<ChatStream> {
        let lost = |_| Err(Error::Unavailable("the task of a hold was lost".to_owned()));
        match self.opened.await.unwrap_or_else(lost)? {
            Opened::Answered(receipt) => Ok(ChatStream::of(*receipt)),
            Opened::Started(started) => {
                Ok(ChatStream { started, events: self.events, _leaving: Some(self.leaving) })
            }
        }
    }
}

/// Whoever waits for a chat, as its task sees it.
pub(super) enum Client {
    /// For the whole answer. It cannot leave: the answer is finished in any case.
    Waiting(Option<oneshot::Sender<Result<Receipt>>>),
    Streaming {
        open: Option<oneshot::Sender<Result<Opened>>>,
        events: mpsc::Sender<Sent>,
        /// The room for waiting parts, in KiB.
        room: Arc<Semaphore>,
        left: CancellationToken,
    },
}

impl Client {
    pub fn waiting() -> (Client, oneshot::Receiver<Result<Receipt>>) {
        let (tell, told) = oneshot::channel();
        (Client::Waiting(Some(tell)), told)
    }

    pub fn streaming() -> (Client, Opening) {
        let (open, opened) = oneshot::channel();
        let (sender, events) = mpsc::channel(PARTS_AHEAD);
        let left = CancellationToken::new();
        let opening = Opening { opened, events, leaving: left.clone().drop_guard() };
        let room = Arc::new(Semaphore::new(usize::try_from(KIB_AHEAD).unwrap_or(1)));
        (Client::Streaming { open: Some(open), events: sender, room, left }, opening)
    }

    /// Ends when the client leaves, if ever.
    pub async fn left(&self) {
        match self {
            Client::Waiting(_) => std::future::pending().await,
            Client::Streaming { left, .. } => left.cancelled().await,
        }
    }

    /// Tells that the chat is paid for and its answer under way.
    pub fn start(&mut self, charged: Charged, model: &str, price: i64, created_at: chrono::NaiveDateTime) {
        if let Client::Streaming { open, .. } = self
            && let Some(open) = open.take()
        {
            let started = Started {
                chat_id: charged.chat_id,
                model: model.to_owned(),
                charged: price,
                remaining: charged.balance,
                replayed: false,
                state: ChatState::Complete,
                created_at,
            };
            let _ = open.send(Ok(Opened::Started(started)));
        }
    }

    /// Passes a part on; answers whether the client is still there.
    pub async fn send(&self, piece: Piece) -> bool {
        match self {
            Client::Waiting(_) => true,
            Client::Streaming { events, room, .. } => {
                // A part that is larger than all of the room waits until all of the room is free.
                let kib = u32::try_from(piece.weight() >> 10).unwrap_or(KIB_AHEAD).clamp(1, KIB_AHEAD);
                let sent = async {
                    let room = room.clone().acquire_many_owned(kib).await.ok();
                    events.send((Event::Piece(piece), room)).await.is_ok()
                };
                tokio::time::timeout(SLOWEST_READER, sent).await.unwrap_or(false)
            }
        }
    }

    /// Tells how it ended. Only the first end is told.
    pub async fn finish(&mut self, outcome: Result<Receipt>) {
        match self {
            Client::Waiting(tell) => {
                if let Some(tell) = tell.take() {
                    let _ = tell.send(outcome);
                }
            }
            Client::Streaming { open, events, .. } => match (open.take(), outcome) {
                (Some(open), Ok(receipt)) => {
                    let _ = open.send(Ok(Opened::Answered(Box::new(receipt))));
                }
                (Some(open), Err(error)) => {
                    let _ = open.send(Err(error));
                }
                (None, Ok(receipt)) => {
                    let done = (Event::Done(Box::new(receipt)), None);
                    let _ = events.send_timeout(done, SLOWEST_READER).await;
                }
                (None, Err(error)) => {
                    let _ = events.send_timeout((Event::Failed(error), None), SLOWEST_READER).await;
                }
            },
        }
    }
}
