//! Temporary directories that are removed even if a test fails or dies.

use tempfile::TempDir;

use super::keeper;

/// Creates a temporary directory.
pub fn directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("tollgate-test-").tempdir().unwrap();
    keeper::remove(directory.path());
    directory
}
