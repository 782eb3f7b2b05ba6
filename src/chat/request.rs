//! A request for a chat, and what the settings say about chats.

use std::sync::Arc;

use crate::domain::{Fingerprint, IdempotencyKey, TokenDigest};
use crate::responder::Question;
use crate::throttle::MemoryShare;

/// What things cost, and how much of them one user may have at once.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// Tokens for a message, where a model has no price of its own.
    pub chat: i64,
    /// How many chats of one user may be answered at once, where the user has no limit of their own.
    pub concurrent_chats: i64,
}

/// What somebody wants answered.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    pub auth_token: TokenDigest,
    /// What is stored as the chat's message.
    pub message: String,
    pub prompt: Prompt,
    /// With the digest of the request, by which another request under the same key is told apart.
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    /// The memory that a large prompt takes until the answer has ended.
    pub memory: Option<Arc<MemoryShare>>,
}

/// What the responder is to read.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// The message alone.
    Message,
    /// The message, after what was said before it in this conversation.
    Conversation(i64),
    /// All of this. Its `max_output` is what the client wants at most; 0: as much as there may be.
    Whole(Question),
}
