//! The life of a chat: charge, answer, settle.
//!
//! [`Toll`] takes a [`ChatRequest`]. If the responder has its answer at once, the chat is charged
//! and complete in one transaction. Otherwise the charge is a hold, and a task that outlives the
//! connection waits for the answer and ends the hold. Nobody ever waits for a responder inside a
//! transaction. All money moves in [`crate::metering`].

mod admission;
mod chain;
mod context;
mod continuing;
mod media;
mod offer;
mod prepare;
mod receipt;
mod request;
mod slots;
mod stream;
mod task;
mod toll;
mod transcript;

pub use chain::{Assemble, Assembled, Chain, Earlier, StoredTurn, ValueRoom};
pub use offer::OfferedName;
pub use receipt::Receipt;
pub use request::{ChatRequest, Prices, Prompt};
pub use slots::SlotBounds;
pub use stream::{ChatStream, Event, Started};
pub use toll::Toll;
