//! `DATABASE_URL`: the database. The scheme decides which kind.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::postgres_url;

/// The address of the database. It is printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// The path of an SQLite file.
    Sqlite(PathBuf),
    /// The URL of a PostgreSQL database, for libpq.
    Postgres(String),
}

/// Why a text is not the address of a database. Each message says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DatabaseUrlError {
    /// The text is empty.
    #[error("it is empty: give a file's path, or sqlite://PATH, or postgres://USER@HOST/DATABASE")]
    Empty,
    /// The scheme is not one of ours.
    #[error("its scheme is unknown: use a file's path, sqlite://PATH or postgres://USER@HOST/DATABASE")]
    UnknownScheme,
    /// The text looks like a URL that lost its scheme.
    #[error(
        "it looks like the address of another database: use postgres://USER@HOST/DATABASE, or a file's path"
    )]
    NoPath,
    /// A URL of PostgreSQL is invalid. Contains the reason without any part of the URL, which may
    /// be part of the password.
    #[error("{0}")]
    Postgres(&'static str),
    /// SQLite would keep the database in memory.
    #[error("a database in memory would be lost at exit and differ for each connection: give a file's path")]
    InMemory,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                postgres_url::check(text).map_err(DatabaseUrlError::Postgres)?;
                return Ok(DatabaseUrl::Postgres(text.to_owned()));
            }
            Some(("sqlite", path)) => path,
            Some(_) => return Err(DatabaseUrlError::UnknownScheme),
            None => text.strip_prefix("sqlite:").unwrap_or(text),
        };
        match path {
            "" => Err(DatabaseUrlError::Empty),
            // Errors contain the path, and this may be a URL with a password that lost its scheme.
            _ if has_credentials(path) => Err(DatabaseUrlError::NoPath),
            _ if path.contains(":memory:") => Err(DatabaseUrlError::InMemory),
            path => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
        }
    }
}

/// Returns whether a path has the form `NAME:PASSWORD@`, or begins with a scheme.
fn has_credentials(path: &str) -> bool {
    let scheme = path.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme =
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
    let has_login = path.split_once(':').is_some_and(|(_, rest)| rest.contains('@'));
    has_login || (is_scheme)
}

impl DatabaseUrl {
    /// Returns whether the address is one of this machine: a file, a Unix socket or the loopback.
    pub(super) fn is_on_this_machine(&self) -> bool {
        match self {
            DatabaseUrl::Sqlite(_) => true,
            DatabaseUrl::Postgres(url) => postgres_url::is_on_this_machine(url),
        }
    }

    /// Returns whether the database is on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self, DatabaseUrl::Postgres(_))
    }

    /// Returns whether the address holds a password or another secret.
    pub fn has_secret(&self) -> bool {
        match self {
            DatabaseUrl::Sqlite(_) => false,
            DatabaseUrl::Postgres(url) => postgres_url::has_secret(url),
        }
    }

    /// Returns the path of an SQLite file. Returns `None` for PostgreSQL.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match self {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Returns the URL of a PostgreSQL database for its own tools, without the password. Returns
    /// `None` for SQLite.
    pub fn for_tools(&self) -> Option<String> {
        match self {
            DatabaseUrl::Sqlite(_) => None,
            DatabaseUrl::Postgres(text) => Some(postgres_url::for_tools(text)),
        }
    }

    /// Creates an SQLite file if it is missing, readable by its owner only. SQLite gives the files
    /// beside it (`-wal`, `-shm`) the same mode. Opening never creates the file, so that a file
    /// that vanished is detected.
    ///
    /// # Errors
    /// Fails if the file cannot be created.
    pub fn create_if_missing(&self) -> io::Result<()> {
        let DatabaseUrl::Sqlite(path) = self else { return Ok(()) };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the path of an SQLite file as a URI that opens but never creates it.
    pub(super) fn sqlite_uri(path: &Path) -> String {
        let mut uri = String::from("file:");
        for byte in path.to_string_lossy().bytes() {
            match byte {
                b'?' | b'#' | b'%' | 0x80.. => uri.push_str(&format!("%{byte:02X}")),
                byte => uri.push(char::from(byte)),
            }
        }
        uri + "?mode=rw"
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "{}", path.display()),
            DatabaseUrl::Postgres(text) => f.write_str(&postgres_url::shown(text)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_picks_the_database() {
        let sqlite = |path: &str| Ok(DatabaseUrl::Sqlite(PathBuf::from(path)));
        assert_eq!("tollgate.db".parse(), sqlite("tollgate.db"));
        assert_eq!("sqlite://data/t.db".parse(), sqlite("data/t.db"));
        assert_eq!("sqlite:///srv/t.db".parse(), sqlite("/srv/t.db"));
        assert_eq!("sqlite:t.db".parse(), sqlite("t.db"));
        assert!("postgresql://u@h/d".parse::<DatabaseUrl>().is_ok_and(|url| url.is_postgres()));
        assert_eq!("mysql://u@h/d".parse::<DatabaseUrl>(), Err(DatabaseUrlError::UnknownScheme));
        assert_eq!("".parse::<DatabaseUrl>(), Err(DatabaseUrlError::Empty));
        for address in
            ["postgres:u:secret@h/d", "u:secret@h/d", "//u:secret@h/d", "mysql:d", "sqlite://u:s@h/d"]
        {
            assert_eq!(address.parse::<DatabaseUrl>(), Err(DatabaseUrlError::NoPath), "{address}");
        }
        assert_eq!("sqlite://:memory:".parse::<DatabaseUrl>(), Err(DatabaseUrlError::InMemory));
    }

    #[test]
    fn a_password_is_never_printed() {
        let url: DatabaseUrl = "postgres://u:secret@h/d?password=secret&sslmode=require".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://u:***@h/d");
        assert!(!format!("{url:?}").contains("secret"));
        for text in [
            "postgres://u:se/secret@h/d",
            "postgres://u:@secret@h/d",
            "postgres://u:x?secret@h/d",
            "postgres://user:secret",
            "postgres://user:secret/d",
        ] {
            let shown = match text.parse::<DatabaseUrl>() {
                Ok(url) => url.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn an_address_may_name_several_hosts() {
        let text = "postgres://u:secret@one:5432,two:5433/d?target_session_attrs=read-write";
        let url: DatabaseUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), "postgres://u:***@one:5432,two:5433/d");
        let url: DatabaseUrl = "postgres://u@[::1]:5432,[fe80::1]/d".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://u@[::1]:5432,[fe80::1]/d");
    }

    #[test]
    fn a_path_with_marks_of_a_uri_stays_a_path() {
        assert_eq!(DatabaseUrl::sqlite_uri(Path::new("a?b#c%é.db")), "file:a%3Fb%23c%25%C3%A9.db?mode=rw");
    }
}
