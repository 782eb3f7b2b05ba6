//! Temporary directories that do not stay behind.

use tempfile::TempDir;

use super::keeper;

pub fn directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("tollgate-test-").tempdir().unwrap();
    keeper::remove(directory.path());
    directory
}
