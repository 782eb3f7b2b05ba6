//! PostgreSQL, or a party between it and the server, hangs instead of failing.

mod backends;
mod crowd;
mod locks;
mod nodes;
mod party;
mod points;
mod pooler;
mod probe;
mod readiness;
mod rolling;

/// Flags that give users enough tokens for any storm.
const RICH: [&str; 2] = ["--opening-tokens", "100000000"];
