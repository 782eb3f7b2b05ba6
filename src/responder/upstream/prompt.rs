//! Records whether an upstream has a prompt. If so, its work is charged even if the client no
//! longer waits for the answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Shows whether the prompt of a call was sent. Its clones share the mark.
#[derive(Clone, Debug, Default)]
pub struct PromptMark(Arc<AtomicBool>);

impl PromptMark {
    /// Returns whether the upstream has the prompt, as far as known: it was written to a connection
    /// and not rejected.
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Records whether the upstream has the prompt.
    pub(super) fn set(&self, is_sent: bool) {
        self.0.store(is_sent, Ordering::Release);
    }
}

/// The body of a request, which sets the mark when a connection takes it.
pub(super) struct PromptBody {
    bytes: Option<Bytes>,
    mark: PromptMark,
}

impl PromptBody {
    /// Makes a body that sets `mark` when a connection takes it.
    pub(super) fn new(bytes: Bytes, mark: PromptMark) -> PromptBody {
        PromptBody { bytes: Some(bytes), mark }
    }
}

impl Body for PromptBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        if bytes.is_some() {
            self.mark.set(true);
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
