//! The integration tests: one binary, so that it is linked once and starts one PostgreSQL cluster.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

mod api;
mod blackbox;
mod browser;
mod cli;
mod db;
mod docs;
mod faults;
mod house;
mod import;
mod metering;
mod openapi;
mod packages;
mod panel;
mod readme;
mod sdk;
mod storms;
mod supply_chain;
mod support;
mod tls;
mod upgrade;
mod upstream;
