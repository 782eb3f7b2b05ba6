//! What is known of a request while it is handled, for its lines in the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::{HttpMessage, HttpRequest};

use crate::domain::RequestId;

/// What is known of a request: its id, its user and its chat. The middleware makes it, handlers
/// note what they learn, and the request's line in the log shows it. Cheap to clone; clones are of
/// the same request.
#[derive(Clone)]
pub struct RequestNotes(Arc<Notes>);

/// Ids start at 1. 0 means that the id is not known.
struct Notes {
    id: RequestId,
    user_id: AtomicI64,
    chat_id: AtomicI64,
}

impl RequestNotes {
    /// Makes the notes of a new request, with a new id.
    pub fn begin() -> RequestNotes {
        let (user_id, chat_id) = Default::default();
        RequestNotes(Arc::new(Notes { id: RequestId::generate(), user_id, chat_id }))
    }

    /// Returns the notes of a request. Without the middleware, as in some tests, they are new.
    pub fn of(request: &HttpRequest) -> RequestNotes {
        let notes = request.extensions().get::<RequestNotes>().cloned();
        notes.unwrap_or_else(RequestNotes::begin)
    }

    /// Returns the request's id, which the response has in `X-Request-Id`.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Notes whose request it is, once the credentials have proved it.
    pub fn set_user(&self, user_id: i64) {
        self.0.user_id.store(user_id, Ordering::Relaxed);
    }

    /// Notes the chat that the request has made or found.
    pub fn set_chat(&self, chat_id: i64) {
        self.0.chat_id.store(chat_id, Ordering::Relaxed);
    }

    /// Returns the user's id, if it is known.
    pub fn user_id(&self) -> Option<i64> {
        known(&self.0.user_id)
    }

    /// Returns the chat's id, if there is one.
    pub fn chat_id(&self) -> Option<i64> {
        known(&self.0.chat_id)
    }
}

fn known(id: &AtomicI64) -> Option<i64> {
    Some(id.load(Ordering::Relaxed)).filter(|id| *id != 0)
}

/// Shows user and chat as a line of text does: nothing for what is not known.
impl fmt::Display for RequestNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user_id) = self.user_id() {
            write!(f, ", user {user_id}")?;
        }
        if let Some(chat_id) = self.chat_id() {
            write!(f, ", chat {chat_id}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RequestNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestNotes({}{self})", self.id())
    }
}

/// The end of a line that is about a request, if it is about one.
#[derive(Clone, Copy, Debug)]
pub struct About(pub Option<RequestId>);

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, ", request {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_of_a_request_is_shown() {
        let notes = RequestNotes::begin();
        assert_eq!((notes.to_string().as_str(), notes.user_id(), notes.chat_id()), ("", None, None));
        notes.clone().set_user(3);
        assert_eq!(notes.to_string(), ", user 3");
        notes.set_chat(17);
        assert_eq!(notes.to_string(), ", user 3, chat 17");
        assert_eq!(About(Some(notes.id())).to_string(), format!(", request {}", notes.id()));
        assert_eq!(About(None).to_string(), "");
    }
}
