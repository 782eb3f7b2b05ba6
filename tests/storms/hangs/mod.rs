//! PostgreSQL: one party hangs instead of failing.
