//! Attacks on availability: hostile clients, users who pay nothing, hostile upstreams.

mod upstreams;
