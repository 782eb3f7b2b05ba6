//! The parts that the panel's pages share. The kit uses no page.

pub(super) mod address;
pub(super) mod administrator;
pub(super) mod common_fields;
pub(super) mod confirm;
mod csp;
pub(super) mod edit;
mod error;
pub(super) mod fact;
pub(super) mod fields;
pub(super) mod form;
pub(super) mod format;
pub(super) mod list;
pub(super) mod message;
pub(super) mod names;
pub(super) mod page;
pub(super) mod paths;
pub(super) mod preferences;
pub(super) mod route;
pub(super) mod sessions;
pub(super) mod table;
pub(super) mod verb;
pub(super) mod zone;

pub(super) use address::{From, back_to, id, id_in, plain_id};
pub use error::PageError;
pub use route::{Access, PageMethod, PageRoute, Section};
