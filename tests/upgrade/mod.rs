//! Databases of released versions are upgraded, and everything in them stays the same. `README.md`
//! in this folder describes the dumps and how they were made.

mod dump;
mod interrupted;
mod kept;
mod large;
mod retired;
