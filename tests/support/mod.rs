//! What the tests share: databases, the real server as a process of its own, and a small HTTP client.

pub mod app;
pub mod dice;
pub mod http;
mod keeper;
pub mod postgres;
pub mod require;
pub mod server;
pub mod temporary;
pub mod wait;

use tempfile::TempDir;

/// Which database a test runs on. Most run on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// A fresh, empty database that goes away with its test.
pub struct TestDatabase {
    url: String,
    place: Place,
}

enum Place {
    Sqlite(TempDir),
    Postgres(postgres::TestPostgres),
}

impl TestDatabase {
    /// `None`: this machine has no such database; the test says so and returns.
    pub fn create(on: On) -> Option<TestDatabase> {
        match on {
            On::Sqlite => Some(TestDatabase::in_directory(temporary::directory())),
            On::Postgres => postgres::database().map(TestDatabase::from),
        }
    }

    /// An SQLite file in a directory of the test's own choice.
    pub fn in_directory(directory: TempDir) -> TestDatabase {
        let url =
            directory.path().join("tollgate.db").to_str().expect("a temporary path in UTF-8").to_owned();
        TestDatabase { url, place: Place::Sqlite(directory) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn on(&self) -> On {
        match self.place {
            Place::Sqlite(_) => On::Sqlite,
            Place::Postgres(_) => On::Postgres,
        }
    }
}

impl From<postgres::TestPostgres> for TestDatabase {
    fn from(database: postgres::TestPostgres) -> TestDatabase {
        TestDatabase { url: database.url().to_owned(), place: Place::Postgres(database) }
    }
}
