//! The JSON API over the real routes.
