//! The real binary as a process: killed, stopped, starved of its disk and its database, and sent nonsense.

mod first_steps;
mod hold;
mod load;
mod malformed;
mod malformed_heads;
mod stop;
