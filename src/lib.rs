//! Tollgate: a metered chat server. It sells chat messages against a prepaid token balance.
//!
//! The map, in the direction in which modules may use each other (`docs/architecture.md` has the reasons):
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`server`], [`cli`], [`config`] | the HTTP server, the commands and every setting; they put the rest together |
//! | [`api`], [`admin`], [`pages`] | one file a resource: extract, parse, one call, respond |
//! | [`auth`], [`metering`], [`responder`] | who it is; what it costs (the only mover of money); what answers |
//! | [`administration`] | what administrators do, with the history of it |
//! | [`follower`], [`search`] | what the panel looks things up in, filled in behind the charges |
//! | [`models`] | one file a table: rows and queries |
//! | [`db`], [`schema`] | connections, migrations, reading, and the writer that commits in groups |
//! | [`domain`], [`error`], [`clock`], [`throttle`], [`client_address`] | values made only by parsing, the one error type, time, limits, proxies |

#![forbid(unsafe_code)]

pub mod admin;
pub mod administration;
pub mod api;
pub mod auth;
pub mod cli;
pub mod client_address;
pub mod clock;
pub mod config;
pub mod db;
pub mod domain;
pub mod error;
pub mod follower;
pub mod metering;
pub mod models;
pub mod pages;
pub mod responder;
pub mod schema;
pub mod search;
pub mod server;
pub mod throttle;
