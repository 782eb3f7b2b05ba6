//! Databases of an old service, made by SQL.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tempfile::TempDir;

use crate::support::{On, TestDatabase, temporary};

/// A database of an old service.
pub(super) struct OldService {
    url: String,
    on: On,
    _directory: Option<TempDir>,
    _database: Option<TestDatabase>,
}

/// Tables as Django makes them for the first layout.
const TABLES: &str = "
    CREATE TABLE chat_user (id BIGINT PRIMARY KEY, username VARCHAR(200), password VARCHAR(200), tokens BIGINT,
                            auth_token VARCHAR(600), is_active BOOLEAN NOT NULL DEFAULT TRUE,
                            date_joined {time}, last_login {time});
    CREATE TABLE chat_chat (id BIGINT PRIMARY KEY, user_id BIGINT REFERENCES chat_user (id), message TEXT,
                            response TEXT, timestamp {time});
    CREATE TABLE django_migrations (id BIGINT PRIMARY KEY, app VARCHAR(255), name VARCHAR(255));";

impl OldService {
    /// Makes the tables, and fills them. `{time}` in a statement is the type of times.
    pub(super) fn create(on: On, statements: &str) -> Option<OldService> {
        let service = OldService::empty(on)?;
        service.sql(TABLES);
        service.sql(statements);
        Some(service)
    }

    /// Makes a database without tables.
    pub(super) fn empty(on: On) -> Option<OldService> {
        Some(match on {
            On::Sqlite => {
                let directory = temporary::directory();
                let url = directory.path().join("db.sqlite3").to_str().unwrap().to_owned();
                OldService { url, on, _directory: Some(directory), _database: None }
            }
            On::Postgres => {
                let database = TestDatabase::create(on)?;
                OldService { url: database.url().to_owned(), on, _directory: None, _database: Some(database) }
            }
        })
    }

    /// Returns the value of `--from`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements on it, as the service would.
    #[track_caller]
    pub(super) fn sql(&self, statements: &str) {
        let time = match self.on {
            On::Sqlite => "datetime",
            On::Postgres => "timestamp with time zone",
        };
        let statements = statements.replace("{time}", time);
        let done = match self.on {
            On::Sqlite => SqliteConnection::establish(&self.url).unwrap().batch_execute(&statements),
            On::Postgres => PgConnection::establish(&self.url).unwrap().batch_execute(&statements),
        };
        done.unwrap_or_else(|error| panic!("{error} in {statements}"));
    }

    /// Returns the file's contents, on SQLite.
    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(Path::new(&self.url)).unwrap()
    }
}

/// A hash by Django of the password `correct horse`, at a low cost.
pub(super) const HASH: &str =
    "pbkdf2_sha256$1000$5By61V7XgGTqtQX9JRyJhB$ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8=";

/// Returns the statement that inserts a user, who joined on the day of the same number.
pub(super) fn user(id: u32, name: &str, tokens: &str) -> String {
    format!(
        "INSERT INTO chat_user (id, username, password, tokens, date_joined)
         VALUES ({id}, '{}', '{HASH}', {tokens}, '2020-01-{:02} 08:00:00');",
        name.replace('\'', "''"),
        id % 28 + 1
    )
}

/// Returns the statement that inserts a chat at a time.
pub(super) fn chat(id: u32, user: u32, message: &str, time: &str) -> String {
    format!(
        "INSERT INTO chat_chat (id, user_id, message, response, timestamp)
         VALUES ({id}, {user}, '{message}', 'Response to {message}', '{time}');"
    )
}
