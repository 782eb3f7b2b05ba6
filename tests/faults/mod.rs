//! Failures of upstreams, clients, databases and nodes: what the user gets, what the ledger shows,
//! whether the call is cancelled, and that `verify` finds nothing. `docs/charges.md` has the table.

mod answers;
mod ask;
mod balances;
mod breaker;
mod clients;
mod databases;
mod failures;
mod log;
mod nodes;
mod replays;
mod table;
mod world;
