//! What a build consists of, and whether we may and should use it.

mod deny;
mod sbom;
