//! PostgreSQL: one party hangs instead of failing.

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
