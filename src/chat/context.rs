//! What all chats of a server share.

use tokio_util::sync::CancellationToken;

use super::request::Prices;
use super::slots::Slots;
use crate::db::Db;
use crate::responder::Responder;
use crate::throttle::MemoryBudget;

/// The parts that every chat needs.
pub(super) struct Context {
    pub db: Db,
    pub responder: Responder,
    pub prices: Prices,
    pub slots: Slots,
    /// The memory of the whole server, of which long chains take a share.
    pub memory: MemoryBudget,
    /// Cancelled when the server is stopping and cannot wait any longer.
    pub hurry: CancellationToken,
}
