//! Passes an answer from the task of its chat to the client: whole, or part by part.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::receipt::Receipt;
use crate::error::{Error, Result};
use crate::metering::Charged;
use crate::models::ChatState;
use crate::responder::{Piece, Replay};

/// The number of parts that may wait for a slow client. At this number, the upstream is no longer
/// read.
const PARTS_AHEAD: usize = 64;

/// The memory that these parts may take, in KiB. A part usually has a few hundred bytes.
const KIB_AHEAD: u32 = 256;

/// A client that reads nothing for this long counts as disconnected.
const SLOWEST_READER: Duration = Duration::from_secs(30);

/// An event of a stream.
#[derive(Debug)]
pub enum Event {
    /// A part of the answer.
    Piece(Box<Piece>),
    /// The answer is complete and charged. Nothing follows.
    Done(Box<Receipt>),
    /// The answer has failed. Nothing follows. The charge was refunded, unless the error says
    /// otherwise.
    Failed(Error),
}

/// What is known when a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The chat's id.
    pub chat_id: i64,
    /// The model that answers.
    pub model: String,
    /// Tokens charged now. With a price by usage, some may be refunded at the end.
    pub charged: i64,
    /// The balance after the charge.
    pub remaining: i64,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub replayed: bool,
    /// See [`Receipt::state`].
    pub state: ChatState,
    /// When the chat was charged.
    pub created_at: chrono::NaiveDateTime,
}

/// An event on its way to the client, and its share of the memory for waiting parts.
type Sent = (Event, Option<OwnedSemaphorePermit>);

/// An answer part by part. Dropping it means that the client has disconnected, and cancels the
/// call.
#[derive(Debug)]
pub struct ChatStream {
    /// What is known so far.
    pub started: Started,
    source: Source,
}

/// Where the events of a stream come from.
#[derive(Debug)]
enum Source {
    /// The task of the chat. Dropping the guard tells it that the client has disconnected.
    Task { events: mpsc::Receiver<Sent>, _leaving: DropGuard },
    /// An answer that is complete. Its parts are made one by one.
    Whole(Box<WholeAnswer>),
}

#[derive(Debug)]
struct WholeAnswer {
    /// `None` after the end.
    receipt: Option<Box<Receipt>>,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Recorded(Replay),
    Few(std::vec::IntoIter<Piece>),
}

impl WholeAnswer {
    fn next(&mut self) -> Option<Event> {
        let answer = &self.receipt.as_ref()?.answer;
        let piece = match &mut self.parts {
            Parts::Recorded(parts) => parts.next(answer),
            Parts::Few(pieces) => pieces.next(),
        };
        match piece {
            Some(piece) => Some(Event::Piece(Box::new(piece))),
            None => self.receipt.take().map(Event::Done),
        }
    }
}

impl ChatStream {
    /// Streams an answer that is complete.
    pub(super) fn of(mut receipt: Receipt) -> ChatStream {
        let started = Started {
            chat_id: receipt.chat_id,
            model: receipt.model.clone(),
            charged: receipt.charged,
            remaining: receipt.remaining,
            replayed: receipt.replayed,
            state: receipt.state,
            created_at: receipt.created_at,
        };
        let parts = match receipt.parts.take() {
            Some(parts) => Parts::Recorded(parts),
            None => Parts::Few(receipt.answer.as_pieces().into_iter()),
        };
        let whole = WholeAnswer { receipt: Some(Box::new(receipt)), parts };
        ChatStream { started, source: Source::Whole(Box::new(whole)) }
    }

    /// Returns the next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<Event> {
        match &mut self.source {
            Source::Task { events, .. } => events.recv().await.map(|(event, _room)| event),
            Source::Whole(whole) => whole.next(),
        }
    }
}

/// The client's end of a stream whose chat is not charged yet.
pub(super) struct Opening {
    opened: oneshot::Receiver<Result<Opened>>,
    events: mpsc::Receiver<Sent>,
    leaving: DropGuard,
}

/// The first thing that the task sends.
pub(super) enum Opened {
    Answered(Box<Receipt>),
    Started(Started),
}

impl Opening {
    /// Waits until the chat is charged.
    ///
    /// # Errors
    /// The charge failed.
    pub(super) async fn opened(self) -> Result<ChatStream> {
        let lost = |_| Err(Error::Unavailable("the task of a hold was lost".to_owned()));
        match self.opened.await.unwrap_or_else(lost)? {
            Opened::Answered(receipt) => Ok(ChatStream::of(*receipt)),
            Opened::Started(started) => Ok(ChatStream {
                started,
                source: Source::Task { events: self.events, _leaving: self.leaving },
            }),
        }
    }
}

/// The client of a chat, as its task sees it.
pub(super) enum Client {
    /// Waits for the whole answer. Its disconnection changes nothing: the answer is finished
    /// anyway.
    Waiting(Option<oneshot::Sender<Result<Receipt>>>),
    Streaming {
        open: Option<oneshot::Sender<Result<Opened>>>,
        events: mpsc::Sender<Sent>,
        /// The memory for waiting parts, in KiB.
        room: Arc<Semaphore>,
        left: CancellationToken,
    },
}

impl Client {
    /// Makes a client that waits for the whole answer.
    pub(super) fn waiting() -> (Client, oneshot::Receiver<Result<Receipt>>) {
        let (sender, receiver) = oneshot::channel();
        (Client::Waiting(Some(sender)), receiver)
    }

    /// Returns whether the client gets the answer part by part.
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self, Client::Streaming { .. })
    }

    /// Makes a client that gets the answer part by part.
    pub(super) fn streaming() -> (Client, Opening) {
        let (open, opened) = oneshot::channel();
        let (sender, events) = mpsc::channel(PARTS_AHEAD);
        let left = CancellationToken::new();
        let opening = Opening { opened, events, leaving: left.clone().drop_guard() };
        let room = Arc::new(Semaphore::new(usize::try_from(KIB_AHEAD).unwrap_or(1)));
        (Client::Streaming { open: Some(open), events: sender, room, left }, opening)
    }

    /// Completes when the client disconnects. Never completes for a client that waits for the whole
    /// answer.
    pub(super) async fn left(&self) {
        match self {
            Client::Waiting(_) => std::future::pending().await,
            Client::Streaming { left, .. } => left.cancelled().await,
        }
    }

    /// Tells the client that the chat is charged and its answer has begun.
    pub(super) fn start(
        &mut self,
        charged: Charged,
        model: &str,
        price: i64,
        created_at: chrono::NaiveDateTime,
    ) {
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

    /// Sends a part. Returns whether the client is still connected.
    pub(super) async fn send(&self, piece: Piece) -> bool {
        match self {
            Client::Waiting(_) => true,
            Client::Streaming { events, room, .. } => {
                // A part that is larger than the whole memory for parts waits until all of it is
                // free.
                let kib = u32::try_from(piece.weight() >> 10).unwrap_or(KIB_AHEAD).clamp(1, KIB_AHEAD);
                // Nearly always there is room, and nothing has to wait.
                if let Ok(taken) = room.clone().try_acquire_many_owned(kib)
                    && let Ok(place) = events.try_reserve()
                {
                    place.send((Event::Piece(Box::new(piece)), Some(taken)));
                    return true;
                }
                let sent = async {
                    let room = room.clone().acquire_many_owned(kib).await.ok();
                    events.send((Event::Piece(Box::new(piece)), room)).await.is_ok()
                };
                tokio::time::timeout(SLOWEST_READER, sent).await.unwrap_or(false)
            }
        }
    }

    /// Sends the outcome. Only the first outcome is sent.
    pub(super) async fn finish(&mut self, outcome: Result<Receipt>) {
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
