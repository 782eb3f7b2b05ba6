//! Storms: the real binary under attack, with its SQLite file moved, replaced or damaged, and with
//! a database that hangs.
//!
//! Most attacks run beside an honest user ([`HonestUser`](crate::support::honest::HonestUser)), who
//! sends a chat each second and must be answered within a second, 99 times of 100. Storms report
//! figures ([`figures`](crate::support::figures)). Short versions run with `scripts/test --all`.
//! Those that take minutes run with `scripts/proofs`, which writes the figures to `docs/proofs.md`.

mod attack;
mod file;
mod hangs;
