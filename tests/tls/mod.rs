//! TLS in the server: handshakes with the real binary, its certificate, and what a request that
//! came over https means.

mod handshakes;
mod proxies;
mod reload;
mod scheme;
mod start;
mod upstream;
