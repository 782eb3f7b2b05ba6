//! Storms: the real binary under attack, with its SQLite file handled in every way, and with a database that hangs.
//!
//! Each storm runs beside an honest user ([`HonestUser`](crate::support::honest::HonestUser)), who sends a chat each
//! second and must be answered within a second, 99 times of 100. Each storm reports figures
//! ([`figures`](crate::support::figures)). Short versions run with `scripts/test --all`; those that take minutes run with
//! `scripts/proofs`, which writes the figures to `docs/proofs.md`.

mod attack;
mod file;
mod hangs;
