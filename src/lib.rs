//! Tollgate: a metered chat server. It sells chat messages against a prepaid token balance.
//!
//! The modules, from top to bottom. Each uses only those below it (`docs/architecture.md`).
//!
//! | module | what it contains |
//! | --- | --- |
//! | `main` | starts the command line |
//! | [`cli`] | the commands; puts the parts together |
//! | [`server`] | the HTTP server: sockets, middleware, housekeeping |
//! | [`pages`] | the start page, the API's documentation and the static files |
//! | [`panel`] | the panel: lists, forms and pages for administrators |
//! | [`api`] | the HTTP API, one file per resource: extract, parse, one call, respond |
//! | [`config`] | every setting |
//! | [`import`] | brings users and chats over from another service |
//! | [`demo`] | the sample data of `tollgate demo`, with a past of 90 days |
//! | [`administration`] | what administrators do; each verb records itself in one transaction |
//! | [`backup`] | backups that the server makes: the schedule, the folder, the copy |
//! | [`index`] | what the panel looks things up in, filled in behind the charges |
//! | [`account`] | what belongs to a user: chats, statement, conversations |
//! | [`chat`] | the life of a chat: charge, answer, settle |
//! | [`responder`] | what answers: the dummy, or an upstream |
//! | [`openapi`] | the description of the API, made of the tables of routes |
//! | [`http`] | what api, panel and pages share: routes as data, bodies within limits |
//! | [`auth`] | who somebody is: log-in, sessions, auth tokens, passwords |
//! | [`audit`] | who did what to what; the panel shows it as History |
//! | [`metering`] | what a chat costs; the only module that moves money |
//! | [`models`] | one file per table: rows and queries |
//! | [`db`] | connections, migrations, read and write, the SQLite file |
//! | [`schema`] | the tables, as Diesel sees them |
//! | [`error`] | the one error type and how it is rendered |
//! | [`throttle`] | limits and fair queues |
//! | [`tls`] | the certificate of the server, read again when it changes |
//! | [`logging`] | the log: its form, its level, what it knows of a request |
//! | [`metrics`] | counters and histograms, and the text in which Prometheus reads them |
//! | [`domain`] | values that can only be made by parsing |
//! | [`clock`] | the time |
//! | [`client_address`] | the client behind trusted proxies |
//! | [`live`] | values that a reload of the settings replaces |

#![forbid(unsafe_code)]

pub mod account;
pub mod administration;
pub mod api;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod chat;
pub mod cli;
pub mod client_address;
pub mod clock;
pub mod config;
pub mod db;
pub mod demo;
pub mod domain;
pub mod error;
pub mod http;
pub mod import;
pub mod index;
pub mod live;
pub mod logging;
pub mod metering;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod pages;
pub mod panel;
pub mod responder;
/// The tables, as Diesel sees them.
#[allow(missing_docs, reason = "Diesel's macro fills this module and documents nothing")]
pub mod schema;
pub mod server;
pub mod throttle;
pub mod tls;
