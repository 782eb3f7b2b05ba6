//! Attacks on availability: hostile clients, users who pay nothing, hostile upstreams.

mod addresses;
mod half_open;
mod handshakes;
mod held_memory;
mod large_prompts;
mod lifetimes;
mod log_ins;
mod reads;
mod storm;
mod upstreams;
