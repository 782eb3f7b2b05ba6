//! The integration tests: one binary, so that it is linked once and starts one PostgreSQL cluster.

mod api;
mod blackbox;
mod browser;
mod cli;
mod db;
mod docs;
mod faults;
mod house;
mod metering;
mod panel;
mod readme;
mod sdk;
mod storms;
mod support;
mod upgrade;
mod upstream;
