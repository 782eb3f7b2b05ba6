//! Bad luck: what the user got, what the ledger shows, whether the upstream's call was ended, and that `verify` finds nothing.
//! `docs/charges.md` has the same as a table.

mod answers;
mod ask;
mod balances;
mod breaker;
mod clients;
mod databases;
mod failures;
mod nodes;
mod replays;
mod table;
mod world;
