//! Databases of released versions: each is upgraded, and everything in it stays as it was. See `README.md` here for what
//! the dumps hold and how they were made.

mod dump;
mod interrupted;
mod kept;
mod large;
