//! Failures of upstreams, clients, databases and nodes: what the user gets, what the ledger shows,
//! whether the call is cancelled, and that `verify` finds nothing. `docs/charges.md` has the table.

mod answers;
pub mod ask;
mod balances;
mod breaker;
mod clients;
mod databases;
mod embeddings;
mod failures;
mod log;
mod nodes;
mod one_question;
mod replays;
mod same_bytes;
mod table;
pub mod world;
