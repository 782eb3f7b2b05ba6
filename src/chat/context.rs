//! What all chats of a server share.

use tokio_util::sync::CancellationToken;

use super::request::Prices;
use crate::db::Db;
use crate::responder::Responder;

/// What all chats of a server share.
pub(super) struct Context {
    pub db: Db,
    pub responder: Responder,
    pub prices: Prices,
    /// Cancelled when the server was told to stop and can wait no longer.
    pub hurry: CancellationToken,
}
