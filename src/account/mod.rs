//! What belongs to a user: profile, chats, statement, conversations. Each query is bound to the id
//! of the [`CurrentUser`](crate::auth::CurrentUser), so that users reach only what is their own.

mod conversations;
mod records;
mod responses;

pub use conversations::Title;
pub use responses::forget_responses;
