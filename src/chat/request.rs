//! A request for a chat, and the settings for chats.

use std::sync::Arc;

use super::chain::Chain;
use super::slots::SlotBounds;
use crate::domain::{Endpoint, Fingerprint, IdempotencyKey, TokenDigest};
use crate::logging::RequestNotes;
use crate::responder::Question;
use crate::throttle::MemoryShare;

/// What chats cost, and how many of them one user may have at once.
#[derive(Clone, Debug)]
pub struct Prices {
    /// The price of a message in tokens, unless the model has a price of its own.
    pub chat: i64,
    /// The number of chats of one user that may be in progress at once, unless the user has a limit
    /// of their own.
    pub concurrent_chats: i64,
    /// How many requests may wait for one of their user's chats to end, and how long.
    pub slots: SlotBounds,
    /// Whether responses are stored for clients that ask for it.
    pub stores_responses: bool,
    /// The most bytes that are stored of one user's responses. The oldest are deleted first.
    pub stored_bytes: i64,
    /// The operator's text on how to get more tokens.
    pub top_up: Option<Arc<str>>,
}

/// A message to be charged and answered.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The endpoint that it came through.
    pub endpoint: Endpoint,
    /// The payer's auth token.
    pub auth_token: TokenDigest,
    /// The text that is stored as the chat's message.
    pub message: String,
    /// The text that the responder gets.
    pub prompt: Prompt,
    /// The idempotency key and the digest of the request. The digest tells a retry from another
    /// request under the same key.
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    /// What the log knows of the request.
    pub notes: RequestNotes,
    /// What it stores and continues.
    pub chain: Chain,
    /// The memory that a large prompt takes until the answer has ended.
    pub memory: Option<Arc<MemoryShare>>,
}

/// What the responder reads.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// The message alone.
    Message,
    /// The message, after the earlier turns of the conversation with this id.
    Conversation(i64),
    /// A whole question from the client. Its `max_output` is the most tokens that the client wants;
    /// 0 means the most that are allowed.
    Whole(Box<Question>),
}
