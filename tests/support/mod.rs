//! Shared by the tests: databases, servers inside the test's process and as real processes, an HTTP
//! client, a browser without a screen, and a scripted upstream.

mod administrators;
pub mod app;
pub mod balancer;
pub mod certificates;
pub mod demo;
pub mod dice;
pub mod documented;
pub mod figures;
pub mod gate;
pub mod honest;
pub mod html;
pub mod http;
pub mod index;
pub mod keeper;
pub mod ledger;
pub mod memory;
pub mod model;
pub mod panel;
pub mod postgres;
pub mod proxy;
pub mod require;
pub mod scrape;
pub mod server;
pub mod small_disk;
pub mod sockets;
pub mod temporary;
pub mod tls;
pub mod upstream;
pub mod wait;
pub mod wire;
pub mod writer;

use std::path::Path;

use tempfile::TempDir;

/// The database that a test runs on. Most run on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// A new, empty database that is dropped with its test.
pub struct TestDatabase {
    url: String,
    on: On,
    _directory: Option<TempDir>,
    _postgres: Option<postgres::TestPostgres>,
}

impl TestDatabase {
    /// Creates it. Returns `None`, and reports that the test is skipped, if this machine does not
    /// have the database.
    pub fn create(on: On) -> Option<TestDatabase> {
        match on {
            On::Sqlite => {
                let directory = temporary::directory();
                let database = TestDatabase::sqlite_in(directory.path());
                Some(TestDatabase { _directory: Some(directory), ..database })
            }
            On::Postgres => postgres::database().map(TestDatabase::from),
        }
    }

    /// Names an SQLite file in a directory that the test itself removes.
    pub fn sqlite_in(directory: &Path) -> TestDatabase {
        let file = directory.join("tollgate.db");
        let url = file.to_str().expect("the path of temporary files must be UTF-8").to_owned();
        TestDatabase { url, on: On::Sqlite, _directory: None, _postgres: None }
    }

    /// Returns the value of `--database-url`. On SQLite it is the path of the file.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn on(&self) -> On {
        self.on
    }
}

impl From<postgres::TestPostgres> for TestDatabase {
    fn from(database: postgres::TestPostgres) -> TestDatabase {
        let url = database.url().to_owned();
        TestDatabase { url, on: On::Postgres, _directory: None, _postgres: Some(database) }
    }
}
