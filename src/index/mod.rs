//! What the panel looks things up in: search terms and sums, filled in behind the charges.

mod erase;
pub mod follower;
mod rebuild;
mod retired;
pub mod search;

pub use erase::{erase_forgotten, forget_changes};
pub use rebuild::rebuild;
pub use retired::drop_retired;
