//! What belongs to a user: profile, chats, statement, conversations. Each query is bound to the id of the
//! [`CurrentUser`](crate::auth::CurrentUser), so that nobody reaches what is another's.

mod conversations;
mod records;

pub use conversations::Title;
