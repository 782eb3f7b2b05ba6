//! What all chats of a server share.

use tokio_util::sync::CancellationToken;

use super::request::Prices;
use super::slots::Slots;
use crate::db::Db;
use crate::responder::Responder;

/// The parts that every chat needs.
pub(super) struct Context {
    pub db: Db,
    pub responder: Responder,
    pub prices: Prices,
    pub slots: Slots,
    /// Cancelled when the server is stopping and cannot wait any longer.
    pub hurry: CancellationToken,
}
