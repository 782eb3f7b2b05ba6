//! What the API, the panel and the pages share: routes as data with their descriptions, bodies read
//! within limits, the settings of the site, and the client of a request.

mod assets;
mod body;
mod client;
mod host;
mod known_path;
pub mod operation;
mod readiness;
mod response_header;
mod route;
mod schema;
mod scheme;
mod site;

pub use assets::{Asset, Version, asset, find_asset};
pub use body::{BodyReader, FREE_BYTES, HeldBody, MOST_BYTES, declared_length};
pub use client::{ClientAddress, request_id_of};
pub use host::{check_host, is_from_foreign_page};
pub use known_path::{KnownPath, NOT_THERE};
pub use readiness::Readiness;
pub use response_header::{ALWAYS_SENT, HeaderForm, RESPONSE_HEADERS, ResponseHeader, SOMETIMES_SENT};
pub use route::{
    MethodRoute, PathKind, RoutePath, Routes, delete, get, not_found, patch, post, resources,
    speaks_anthropic, speaks_openai,
};
pub use schema::Schema;
pub use scheme::is_https;
pub use site::{CurrentSite, Site};
