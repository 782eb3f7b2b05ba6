//! Continues a chain: reads its responses, within the memory budget, and puts the messages of the
//! request together with them.

use std::sync::Arc;

use super::chain::Links;
use super::context::Context;
use super::request::{ChatRequest, Prompt};
use crate::db::DbConnection;
use crate::error::{Error, Result};
use crate::throttle::MemoryShare;

/// How often the texts are in memory at once: as they are stored, as messages, and as the body of
/// the request to the upstream.
const COPIES: u64 = 3;

/// Texts up to this number of bytes do not count towards the memory budget, like bodies.
const FREE_BYTES: u64 = 4 << 10;

/// Longer texts are not parsed on the thread of the requests, which other requests wait for.
const MOST_AT_ONCE: u64 = 64 << 10;

impl Context {
    /// Puts the messages of a request together with the responses that it continues. Their texts
    /// are read only once there is memory for them, which is held until the answer has ended.
    /// Returns the conversation that the request goes on.
    ///
    /// # Errors
    /// Fails if memory is short, a response was deleted in the meantime, or the request does not
    /// fit the chain.
    pub(super) async fn continue_chain(
        &self,
        request: &mut ChatRequest,
        user_id: i64,
        links: Links,
    ) -> Result<Option<i64>> {
        let Some(assemble) = request.chain.assemble.take() else { return Ok(None) };
        let (bytes, conversation_id) = (links.bytes, links.conversation_id);
        self.take_memory(request, user_id, bytes).await?;
        // The read and the parsing go on if the client disconnects, so they hold the memory, too.
        let memory = request.memory.clone();
        let load = move |conn: &mut DbConnection| {
            let _held = &memory;
            links.load(conn, user_id)
        };
        let earlier = self.db.read_in_turn(user_id, load).await?;
        let assembled = if bytes <= MOST_AT_ONCE {
            assemble(earlier)?
        } else {
            let memory = request.memory.clone();
            let parsing = tokio::task::spawn_blocking(move || {
                let _held = memory;
                assemble(earlier)
            });
            parsing.await.map_err(|error| Error::Unavailable(error.to_string()))??
        };
        request.chain.stored = assembled.stored;
        if let Prompt::Whole(question) = &mut request.prompt {
            question.messages = assembled.messages;
            if assembled.allows_cuts {
                question.allow_cuts();
            }
        }
        Ok(conversation_id)
    }

    /// Takes memory for so many bytes of earlier responses, in the share of the request's body, so
    /// that the two count as one request.
    async fn take_memory(&self, request: &mut ChatRequest, user_id: i64, bytes: u64) -> Result<()> {
        if bytes <= FREE_BYTES {
            return Ok(());
        }
        let of_body = request.memory.take().and_then(Arc::into_inner);
        let mut memory: MemoryShare = of_body.unwrap_or_else(|| self.memory.share(None));
        memory.belong_to(user_id);
        memory.grow(bytes * COPIES).await?;
        request.memory = Some(Arc::new(memory));
        Ok(())
    }
}
