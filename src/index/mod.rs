//! What the panel looks things up in: search terms and sums, filled in behind the charges.

pub mod follower;
pub mod search;
