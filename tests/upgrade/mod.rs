//! Databases of released versions: each is upgraded, and everything in it stays the same. `README.md` in this
//! folder describes the contents of the dumps and how they were made.

mod dump;
mod interrupted;
mod kept;
mod large;
